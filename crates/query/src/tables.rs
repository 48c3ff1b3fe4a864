//! The tables of a folder as lazy frames.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cli::near::nearest;
use declarations::Fault;
use polars::prelude::{DataType, LazyFrame, PlRefPath, PlSmallStr, PolarsResult, ScanArgsParquet, Schema};
use polars::sql::SQLContext;
use schemas::{Artifacts, Description, Footer};

/// The declared tables, and the folder that holds their files.
#[derive(Clone, Debug)]
pub struct Tables {
    root: PathBuf,
    declared: Vec<Description>,
    present: Vec<bool>,
}

impl Tables {
    /// The tables of this folder.
    ///
    /// # Errors
    /// The folder holds no table.
    pub fn open(root: &Path) -> Result<Self, Fault> {
        let (artifacts, declared) = (Artifacts::new(root), schemas::tables::all());
        let present: Vec<_> = declared.iter().map(|table| artifacts.has_any(table)).collect();
        if !present.contains(&true) {
            return Err(Fault::input(format!(
                "{} holds no tables: run the pipeline first, or pass another folder by --artifacts",
                root.display()
            )));
        }
        Ok(Self { root: root.to_owned(), declared, present })
    }

    /// Every declared table, and whether the folder has it.
    pub fn all(&self) -> impl Iterator<Item = (&Description, bool)> {
        self.declared.iter().zip(self.present.iter().copied())
    }

    /// A declared table.
    ///
    /// # Errors
    /// There is none of this name; says which is near.
    pub fn find(&self, name: &str) -> Result<&Description, Fault> {
        let found = self.declared.iter().find(|table| table.name == name);
        found.ok_or_else(|| {
            let near = nearest(name, self.declared.iter().map(|table| table.name));
            Fault::parameter(format!("there is no table `{name}`{near}; `\\d` lists the tables"))
        })
    }

    /// A whole table as one lazy frame with its keys as columns. Files that a filter on the keys excludes are not opened.
    ///
    /// # Errors
    /// There is no table of this name, or the folder has no file of it.
    pub fn frame(&self, name: &str) -> Result<LazyFrame, Fault> {
        let table = self.find(name)?;
        if !self.all().any(|(known, present)| present && known.name == name) {
            return Err(Fault::input(self.missing(table)));
        }
        self.scan(table).map_err(|error| Fault::input(error.to_string()))
    }

    /// That the folder has no file of a table.
    pub(crate) fn missing(&self, table: &Description) -> String {
        format!("{} has no `{}`, which `{}` writes", self.root.display(), table.name, table.producer)
    }

    fn scan(&self, table: &Description) -> PolarsResult<LazyFrame> {
        let columns = table.columns.iter().map(|column| (PlSmallStr::from(column.name), data_type(&column.data_type)));
        let keys = table.keys.iter().map(|key| (PlSmallStr::from(key.to_string()), data_type(&key.data_type())));
        let mut arguments = ScanArgsParquet {
            // Declared, so that no file is opened to learn them.
            schema: Some(Arc::new(Schema::from_iter(columns))),
            // Brackets in the folder's path are no pattern.
            glob: false,
            ..ScanArgsParquet::default()
        };
        arguments.hive_options.enabled = Some(!table.keys.is_empty());
        arguments.hive_options.schema = (!table.keys.is_empty()).then(|| Arc::new(Schema::from_iter(keys)));
        arguments.hive_options.try_parse_dates = false;
        LazyFrame::scan_parquet(PlRefPath::try_from_path(&self.root.join(table.name))?, arguments)
    }

    /// The first file of a table, if it is one, whose footer cannot be read.
    pub(crate) fn unreadable(&self, table: &str) -> Option<PathBuf> {
        fn below(path: PathBuf) -> Option<PathBuf> {
            let Ok(entries) = std::fs::read_dir(&path) else {
                return Footer::read(&path).is_none().then_some(path);
            };
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            paths.into_iter().find_map(below)
        }
        self.find(table).ok().and_then(|table| below(self.root.join(table.name)))
    }

    /// A context for SQL in which every table of the folder has its name.
    ///
    /// # Errors
    /// The folder's path is not UTF-8.
    pub(crate) fn context(&self) -> Result<SQLContext, Fault> {
        let context = SQLContext::new();
        for (table, _) in self.all().filter(|(_, present)| *present) {
            let frame = self.scan(table).map_err(|error| Fault::input(error.to_string()))?;
            context.register(table.name, frame);
        }
        Ok(context)
    }
}

/// The type of Polars that a declared type is read as.
fn data_type(declared: &schemas::DataType) -> DataType {
    match declared {
        schemas::DataType::UInt16 => DataType::UInt16,
        schemas::DataType::UInt32 => DataType::UInt32,
        schemas::DataType::UInt64 => DataType::UInt64,
        schemas::DataType::Float32 => DataType::Float32,
        schemas::DataType::Float64 => DataType::Float64,
        schemas::DataType::List(element) => DataType::List(Box::new(data_type(element.data_type()))),
        schemas::DataType::Binary => DataType::Binary,
        schemas::DataType::Utf8 => DataType::String,
        other => unreachable!("no table declares a column of {other}"),
    }
}
