//! docs/tables.md, the data dictionary, says what the declarations say.

use std::fmt::Write as _;
use std::fs;

use schemas::{Description, Key, tables, type_name};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tables.md");
/// The page up to here is written by hand.
const MARK: &str = "<!-- From here on written by a test, from schemas/src/tables.rs: see the end. -->\n";
const COMMAND: &str = "WRITE_DOCS=1 cargo test --release --locked --test dictionary";

#[test]
fn the_data_dictionary_is_of_these_tables() {
    let page = fs::read_to_string(PAGE).expect("docs/tables.md");
    let (by_hand, committed) = page.split_once(MARK).expect("the mark in docs/tables.md");
    let expected = dictionary(&tables::all());
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(PAGE, format!("{by_hand}{MARK}{expected}")).expect("docs/tables.md is writable");
    } else {
        let first = expected.lines().zip(committed.lines()).find(|(expected, committed)| expected != committed);
        assert!(
            committed == expected,
            "docs/tables.md is not of these tables: run `{COMMAND}`; first difference: {first:?}"
        );
    }
}

/// The stages that write a table, each as code: `train` or `import`.
fn stages(producer: &str) -> String {
    format!("`{}`", producer.replace(" or ", "` or `"))
}

fn dictionary(tables: &[Description]) -> String {
    let mut page = String::from("\n## The tables\n\n| table | a row is | of each | written by |\n|---|---|---|---|\n");
    for table in tables {
        let Description { name, producer, .. } = table;
        let keys = if table.keys.is_empty() { "study".to_owned() } else { list(table.keys) };
        let _ = writeln!(page, "| [`{name}`](#{name}) | {} | {keys} | {} |", row(table), stages(producer));
    }
    page.push_str("\n## The keys\n\n| key | type | what it is |\n|---|---|---|\n");
    for key in Key::ALL {
        let _ = writeln!(page, "| `{key}` | {} | {} |", type_name(&key.data_type()), key.description());
    }
    for table in tables {
        let Description { name, version, producer, .. } = table;
        let folders: String = table.keys.iter().map(|key| format!("{key}=…/")).collect();
        let _ = write!(
            page,
            "\n## {name}\n\n{} Version {version}, written by {}: `{name}/{folders}{name}.parquet`\n\n\
             | column | type | unit | meaning |\n|---|---|---|---|\n",
            table.description,
            stages(producer)
        );
        for column in &table.columns {
            let null = if column.nullable { ", or null" } else { "" };
            let _ = writeln!(
                page,
                "| `{}` | {}{null} | {} | {} |",
                column.name,
                column.type_name(),
                column.shown_unit().unwrap_or_default(),
                column.meaning().replace('|', "\\|")
            );
        }
    }
    let _ = write!(page, "\nWritten by `{COMMAND}`.\n");
    page
}

/// The first clause of the table's description.
fn row(table: &Description) -> &str {
    let clause = table.description.split(['.', ':']).next();
    clause.unwrap_or(&table.description)
}

fn list(keys: &[Key]) -> String {
    keys.iter().map(Key::to_string).collect::<Vec<_>>().join(", ")
}
