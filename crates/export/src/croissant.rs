//! A description of all tables in Croissant 1.0, MLCommons' vocabulary for data sets (JSON-LD): each table that is there is a set
//! of files, and its columns are fields with their meaning and unit.

use std::io::Write;
use std::path::Path;

use declarations::Fault;
use schemas::{Artifacts, DataType, Description, tables};
use serde_json::{Value as Json, json};

pub(crate) fn export(artifacts: &Artifacts, to: Option<&Path>) -> Result<(), Fault> {
    let present: Vec<Description> = tables::all().into_iter().filter(|table| artifacts.has_any(table)).collect();
    if present.is_empty() {
        let root = artifacts.root().display();
        return Err(Fault::input(format!("{root} has no tables: give the study's folder by --artifacts")));
    }
    let text = format!("{:#}\n", described(&present));
    match to {
        Some(path) => crate::write(path, text.as_bytes()),
        None => std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| Fault::input(format!("cannot write the description: {error}"))),
    }
}

fn described(present: &[Description]) -> Json {
    let files = present.iter().map(|table| {
        json!({
            "@type": "cr:FileSet",
            "@id": format!("{}-files", table.name),
            "name": table.name,
            "encodingFormat": "application/x-parquet",
            "includes": format!("{0}/**/{0}.parquet", table.name),
        })
    });
    let records = present.iter().map(|table| {
        let field = |name: &str, description: &str, data_type: &str| {
            json!({
                "@type": "cr:Field",
                "@id": format!("{}/{name}", table.name),
                "name": name,
                "description": description,
                "dataType": data_type,
                "source": {"fileSet": {"@id": format!("{}-files", table.name)}, "extract": {"column": name}},
            })
        };
        let fields: Vec<Json> = table
            .columns
            .iter()
            .map(|column| {
                let unit = if column.unit == "1" { String::new() } else { format!(" Unit: {}.", column.unit) };
                field(column.name, &format!("{}{unit}", column.description), data_type(&column.data_type))
            })
            .collect();
        json!({
            "@type": "cr:RecordSet",
            "@id": table.name,
            "name": table.name,
            "description": format!("{} Version {}, written by {}.", table.description, table.version, table.producer),
            "field": fields,
        })
    });
    json!({
        "@context": {
            "@vocab": "https://schema.org/",
            "sc": "https://schema.org/",
            "cr": "http://mlcommons.org/croissant/",
            "dct": "http://purl.org/dc/terms/",
            "conformsTo": "dct:conformsTo",
            "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
            "field": "cr:field",
            "recordSet": "cr:recordSet",
            "source": "cr:source",
            "extract": "cr:extract",
            "column": "cr:column",
            "fileSet": "cr:fileSet",
            "includes": "cr:includes",
        },
        "@type": "sc:Dataset",
        "name": "attention-patterns",
        "description": "Attention patterns of character-level GPTs during training.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "distribution": files.collect::<Vec<_>>(),
        "recordSet": records.collect::<Vec<_>>(),
    })
}

/// The type of a column's values, or of its lists' elements. Croissant has none for bytes.
fn data_type(declared: &DataType) -> &'static str {
    match declared {
        DataType::Utf8 | DataType::Binary => "sc:Text",
        DataType::Float32 | DataType::Float64 => "sc:Float",
        DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => "sc:Integer",
        DataType::List(element) => data_type(element.data_type()),
        other => unreachable!("no table declares a column of {other}"),
    }
}
