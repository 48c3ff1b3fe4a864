//! What a table is, and the macro that declares one.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};

use crate::Key;

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

/// A table; a value of the implementing type is one row.
pub trait Table: Sized {
    /// The table's name: its folder and its files are called so.
    const NAME: &'static str;
    /// The version of its columns; a reader refuses every other.
    const VERSION: u32;
    /// The stage that writes it.
    const PRODUCER: &'static str;
    /// The keys of its path, outermost first.
    const KEYS: &'static [Key];

    /// What a row is.
    fn description() -> String;

    /// The columns, in order.
    fn columns() -> Vec<Column>;

    /// One Arrow batch from rows.
    fn to_batch(rows: &[Self]) -> RecordBatch;

    /// The rows of a batch that has been checked against [`Table::schema`].
    fn from_batch(batch: &RecordBatch) -> Vec<Self>;

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

/// Joins the lines of a doc comment to one line of prose.
pub(crate) fn prose(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Declares tables: each a row type whose doc comments are also the descriptions in the files' footers.
macro_rules! tables {
    ($(
        $(#[doc = $table_doc:literal])+
        $name:literal version $version:literal by $producer:literal keyed [$($key:ident),*]
        struct $row:ident {$(
            $(#[doc = $doc:literal])+
            $column:ident: $cell:ty = $unit:literal,
        )+}
    )+) => {
        $(
            $(#[doc = $table_doc])+
            #[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
            pub struct $row {$(
                $(#[doc = $doc])+
                pub $column: $cell,
            )+}

            impl crate::Table for $row {
                const NAME: &'static str = $name;
                const VERSION: u32 = $version;
                const PRODUCER: &'static str = $producer;
                const KEYS: &'static [crate::Key] = &[$(crate::Key::$key),*];

                fn description() -> String {
                    crate::table::prose(&[$($table_doc),+])
                }

                fn columns() -> Vec<crate::Column> {
                    vec![$(crate::Column {
                        name: stringify!($column),
                        description: crate::table::prose(&[$($doc),+]),
                        unit: $unit,
                        data_type: <$cell as crate::Cell>::data_type(),
                        nullable: <$cell as crate::Cell>::NULLABLE,
                    }),+]
                }

                fn to_batch(rows: &[Self]) -> arrow_array::RecordBatch {
                    let columns = vec![$(<$cell as crate::Cell>::gather(rows.iter().map(|row| &row.$column))),+];
                    arrow_array::RecordBatch::try_new(std::sync::Arc::new(Self::schema()), columns)
                        .expect("the arrays are of the schema's types and lengths: both come from one declaration")
                }

                fn from_batch(batch: &arrow_array::RecordBatch) -> Vec<Self> {
                    let mut position = 0;
                    $(
                        let mut $column = <$cell as crate::Cell>::scatter(batch.column(position)).into_iter();
                        position += 1;
                    )+
                    let _ = position;
                    (0..batch.num_rows())
                        .map(|_| $row {$(
                            $column: $column.next().expect("every column of a batch has as many cells as the batch has rows"),
                        )+})
                        .collect()
                }
            }
        )+

        /// Every table, without its row type, in the order in which the pipeline writes them.
        pub fn all() -> Vec<crate::Description> {
            vec![$(<$row as crate::Table>::describe()),+]
        }
    };
}
pub(crate) use tables;
