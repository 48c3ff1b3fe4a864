//! What a measured column is called where people read it, and how its value is read from a row.

/// A measured column without its row type: what labels an axis or a line of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// The column's name.
    pub name: &'static str,
    /// The field's term for it, in lower case: `entropy`, `induction score`.
    pub label: &'static str,
    /// The column's unit; `1` for a number without one.
    pub unit: &'static str,
    /// What a higher value means.
    pub higher: &'static str,
    /// What uniform causal attention gives.
    pub uniform: Uniform,
}

/// What uniform causal attention, `A[i,j] = 1/(i+1)`, gives for a measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Uniform {
    /// A value that depends on the windows' length: the measure's row in the table `baselines`.
    Baselines,
    /// This value, whatever the windows.
    Value(f64),
    /// No one value: it depends on the text, or on more than attention.
    Unknown,
}

/// A measured column of a table whose rows are `Row`. Each is a constant of its row type, named as its column:
/// `HeadMetrics::entropy_nats`. All of a table's are in [`Table::MEASURES`](crate::Table::MEASURES).
#[derive(Debug)]
pub struct Measure<Row> {
    /// Name, label, unit and meaning.
    pub quantity: Quantity,
    /// The value in a row; none where it is null.
    pub get: fn(&Row) -> Option<f64>,
    /// Sets the value in a row.
    pub set: fn(&mut Row, f64),
    /// The column of its standard error over probe windows, where the table has one.
    pub stderr: Option<Stderr<Row>>,
}

/// The column of a measure's standard error.
#[derive(Debug)]
pub struct Stderr<Row> {
    /// The column's name.
    pub name: &'static str,
    /// The value in a row; none where it is null.
    pub get: fn(&Row) -> Option<f64>,
    /// Sets the value in a row.
    pub set: fn(&mut Row, Option<f64>),
}

impl<Row> Measure<Row> {
    /// The column's name.
    pub const fn name(&self) -> &'static str {
        self.quantity.name
    }
}

// Derived, these would ask the same of `Row`.
impl<Row> Clone for Measure<Row> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Row> Copy for Measure<Row> {}
impl<Row> Clone for Stderr<Row> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Row> Copy for Stderr<Row> {}
