//! What a table is, and the macro that declares one.

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};

use crate::{Cell, Key, Measure, Quantity, Uniform};

/// A column: its name, what it measures and in which unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The column's name in the file.
    pub name: &'static str,
    /// What the column holds.
    pub description: String,
    /// The unit of its values: `nats`, `characters`, `seconds`; `1` for a number without one, `text` for words.
    pub unit: &'static str,
    /// The Arrow type.
    pub data_type: DataType,
    /// Whether it may hold nulls.
    pub nullable: bool,
    /// The words that it may hold; none if any.
    pub words: &'static [&'static str],
    /// How it reads as a measure; none for keys, counts, words and standard errors.
    pub measure: Option<Quantity>,
}

impl Column {
    /// The type as people read it: `uint16`, `string`, `list of float32`.
    pub fn type_name(&self) -> String {
        type_name(&self.data_type)
    }

    /// The unit, where there is one to show beside a value.
    pub fn shown_unit(&self) -> Option<&'static str> {
        (!["1", "text"].contains(&self.unit)).then_some(self.unit)
    }

    /// What the column holds, the words that it may hold, and how it reads as a measure.
    pub fn meaning(&self) -> String {
        let mut meaning = self.description.clone();
        let words: Vec<_> = self.words.iter().map(|word| format!("`{word}`")).collect();
        if words.iter().any(|word| !meaning.contains(word)) {
            meaning += &format!(" One of {}.", words.join(", "));
        }
        if let Some(measure) = self.measure {
            meaning += &format!(" Higher: {}.", measure.higher);
            meaning += &match measure.uniform {
                Uniform::Baselines => " Of uniform attention: in `baselines`.".to_owned(),
                Uniform::Value(value) => format!(" Of uniform attention: {value}."),
                Uniform::Unknown => String::new(),
            };
        }
        meaning
    }
}

/// A type as people read it: `uint16`, `string`, `list of float32`.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "string".to_owned(),
        DataType::List(element) => format!("list of {}", type_name(element.data_type())),
        number => number.to_string().to_lowercase(),
    }
}

/// A table without its row type: for those who list all tables, as a schema check or a manual does.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The table's name: its folder and its files are called so.
    pub name: &'static str,
    /// What a row is.
    pub description: String,
    /// The version of its columns.
    pub version: u32,
    /// The stage that writes it.
    pub producer: &'static str,
    /// The keys of its path, outermost first.
    pub keys: &'static [Key],
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// A word that a column may not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownWord {
    /// The column.
    pub column: &'static str,
    /// The words that it may hold.
    pub known: &'static [&'static str],
    /// What it holds.
    pub found: String,
}

/// A table; a value of the implementing type is one row.
pub trait Table: Sized + 'static {
    /// The table's name: its folder and its files are called so.
    const NAME: &'static str;
    /// The version of its columns; a reader refuses every other.
    const VERSION: u32;
    /// The stage that writes it.
    const PRODUCER: &'static str;
    /// The keys of its path, outermost first.
    const KEYS: &'static [Key];
    /// The measured columns, in order.
    const MEASURES: &'static [Measure<Self>];

    /// What a row is.
    fn description() -> String;

    /// The columns, in order.
    fn columns() -> Vec<Column>;

    /// One Arrow batch from rows.
    fn to_batch(rows: &[Self]) -> RecordBatch;

    /// The rows of a batch that has been checked against [`Table::schema`].
    ///
    /// # Errors
    /// The first column that holds a word that it may not, and the word.
    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, UnknownWord>;

    /// The Arrow schema of the file.
    fn schema() -> Schema {
        let field = |column: Column| Field::new(column.name, column.data_type, column.nullable);
        Schema::new(Self::columns().into_iter().map(field).collect::<Vec<_>>())
    }

    /// The table without its row type.
    fn describe() -> Description {
        Description {
            name: Self::NAME,
            description: Self::description(),
            version: Self::VERSION,
            producer: Self::PRODUCER,
            keys: Self::KEYS,
            columns: Self::columns(),
        }
    }
}

/// Handles a table whose name is known only at run time.
pub trait TableVisitor {
    /// What it makes of the table.
    type Output;

    /// Handles the table.
    fn visit<T: Table + serde::Serialize>(self) -> Self::Output;
}

/// Joins the lines of a doc comment to one line of prose.
pub(crate) fn prose(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The cells of one column of a batch.
pub(crate) fn cells<C: Cell>(array: &dyn Array, column: &'static str) -> Result<std::vec::IntoIter<C>, UnknownWord> {
    match C::scatter(array) {
        Ok(cells) => Ok(cells.into_iter()),
        Err(found) => Err(UnknownWord { column, known: C::words(), found }),
    }
}

/// Declares tables: each a row type whose doc comments are also the descriptions in the files' footers.
///
/// A measured column says after its unit how it reads: `measure` and its label, `higher` and what a higher value means, if
/// known `uniform` and a [`Uniform`](crate::Uniform), and if it is a mean over probe windows `stderr` and the name of the column
/// of its standard error, which follows it in the file.
macro_rules! tables {
    ($(
        $(#[doc = $table_doc:literal])+
        $name:literal version $version:literal by $producer:literal keyed [$($key:ident),*]
        struct $row:ident {$(
            $(#[doc = $doc:literal])+
            $column:ident: $cell:ty = $unit:literal
                $(, measure $label:literal
                    higher $higher:literal
                    $(uniform $uniform:ident $(($value:literal))?)?
                    $(stderr $stderr:ident)?)?,
        )+}
    )+) => {
        $(
            $(#[doc = $table_doc])+
            #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
            pub struct $row {$(
                $(#[doc = $doc])+
                pub $column: $cell,
                $($(
                    #[doc = concat!("Standard error of `", stringify!($column), "` over probe windows; null with one.")]
                    pub $stderr: Option<f64>,
                )?)?
            )+}

            impl $row {$($(
                #[doc = concat!("The measure `", stringify!($column), "`: ", $label, ".")]
                #[expect(non_upper_case_globals, reason = "a measure is named as its column")]
                pub const $column: crate::Measure<Self> = crate::Measure {
                    quantity: crate::Quantity {
                        name: stringify!($column),
                        label: $label,
                        unit: $unit,
                        higher: $higher,
                        uniform: crate::table::uniform!($($uniform $(($value))?)?),
                    },
                    get: |row| row.$column.into(),
                    set: |row, value| row.$column = value.into(),
                    stderr: crate::table::stderr!($($stderr)?),
                };
            )?)+}

            impl crate::Table for $row {
                const NAME: &'static str = $name;
                const VERSION: u32 = $version;
                const PRODUCER: &'static str = $producer;
                const KEYS: &'static [crate::Key] = &[$(crate::Key::$key),*];
                const MEASURES: &'static [crate::Measure<Self>] =
                    &[$($(crate::table::first!(Self::$column, $label),)?)+];

                fn description() -> String {
                    crate::table::prose(&[$($table_doc),+])
                }

                fn columns() -> Vec<crate::Column> {
                    vec![$(
                        crate::Column {
                            name: stringify!($column),
                            description: crate::table::prose(&[$($doc),+]),
                            unit: $unit,
                            data_type: <$cell as crate::Cell>::data_type(),
                            nullable: <$cell as crate::Cell>::NULLABLE,
                            words: <$cell as crate::Cell>::words(),
                            measure: Self::MEASURES
                                .iter()
                                .map(|measure| measure.quantity)
                                .find(|quantity| quantity.name == stringify!($column)),
                        },
                        $($(crate::Column {
                            name: stringify!($stderr),
                            description: format!(
                                "Standard error of `{}` over probe windows; null with one.",
                                stringify!($column)
                            ),
                            unit: $unit,
                            data_type: <Option<f64> as crate::Cell>::data_type(),
                            nullable: true,
                            words: &[],
                            measure: None,
                        },)?)?
                    )+]
                }

                fn to_batch(rows: &[Self]) -> arrow_array::RecordBatch {
                    let columns = vec![$(
                        <$cell as crate::Cell>::gather(rows.iter().map(|row| &row.$column)),
                        $($(<Option<f64> as crate::Cell>::gather(rows.iter().map(|row| &row.$stderr)),)?)?
                    )+];
                    arrow_array::RecordBatch::try_new(std::sync::Arc::new(Self::schema()), columns)
                        .expect("the arrays are of the schema's types and lengths: both come from one declaration")
                }

                fn from_batch(batch: &arrow_array::RecordBatch) -> Result<Vec<Self>, crate::UnknownWord> {
                    const WHOLE: &str = "every column of a batch has as many cells as the batch has rows";
                    let mut arrays = batch.columns().iter();
                    $(
                        let mut $column = crate::table::cells::<$cell>(arrays.next().expect(WHOLE), stringify!($column))?;
                        $($(let mut $stderr =
                            crate::table::cells::<Option<f64>>(arrays.next().expect(WHOLE), stringify!($stderr))?;)?)?
                    )+
                    let row = |_| $row {$(
                        $column: $column.next().expect(WHOLE),
                        $($($stderr: $stderr.next().expect(WHOLE),)?)?
                    )+};
                    Ok((0..batch.num_rows()).map(row).collect())
                }
            }
        )+

        /// Every table, without its row type, in the order in which the pipeline writes them.
        pub fn all() -> Vec<crate::Description> {
            vec![$(<$row as crate::Table>::describe()),+]
        }

        /// Visits the table of a name; none if there is no such table.
        pub fn visit<V: crate::TableVisitor>(name: &str, visitor: V) -> Option<V::Output> {
            match name {
                $($name => Some(visitor.visit::<$row>()),)+
                _ => None,
            }
        }

        /// The measure of a name, whichever tables have it, for readers that know the name alone, as of `correlations` and
        /// `onsets`. A name means the same in every table.
        pub fn quantity(name: &str) -> Option<crate::Quantity> {
            None$(.or_else(|| {
                let mut quantities = <$row as crate::Table>::MEASURES.iter().map(|measure| measure.quantity);
                quantities.find(|quantity| quantity.name == name)
            }))+
        }
    };
}

/// What uniform attention gives, where it is declared.
macro_rules! uniform {
    () => { crate::Uniform::Unknown };
    ($uniform:ident $(($value:literal))?) => { crate::Uniform::$uniform $(($value))? };
}

/// The column of a standard error, where it is declared.
macro_rules! stderr {
    () => {
        None
    };
    ($stderr:ident) => {
        Some(crate::measure::Stderr {
            name: stringify!($stderr),
            get: |row| row.$stderr,
            set: |row, value| row.$stderr = value,
        })
    };
}

/// The first of two expressions; the second makes a macro repeat it.
macro_rules! first {
    ($first:expr, $second:expr) => {
        $first
    };
}
pub(crate) use {first, stderr, tables, uniform};
