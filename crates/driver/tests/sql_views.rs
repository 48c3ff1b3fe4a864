//! `artifacts.sql`, for a folder with a name that shells, globs and SQL treat specially.

use std::fs;

use driver::sql_views::views;
use schemas::tables::{HeadMetrics, Results};
use schemas::{Artifacts, Partition, Provenance};

#[test]
fn there_is_a_view_of_every_table_that_has_a_file_and_of_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path().join("odd 'name' [1]"));
    let provenance = Provenance::new("metrics", 1, serde_json::Value::Null);
    let partition = Partition::dataset("it's").run("run_0").seed(1);
    artifacts.write(&partition, &provenance, &[HeadMetrics::default()]).unwrap();
    artifacts.write(&Partition::study(), &provenance, &[Results::default()]).unwrap();
    fs::create_dir_all(artifacts.root().join("evaluations/dataset=a/run=b/seed=1")).unwrap();

    let sql = views(&artifacts, &[]);
    let created: Vec<_> = sql.lines().filter(|line| line.starts_with("CREATE")).collect();
    assert_eq!(
        created,
        [
            "CREATE OR REPLACE VIEW \"head_metrics\" AS FROM \
             read_parquet('head_metrics/dataset=*/run=*/seed=*/head_metrics.parquet', hive_partitioning = true, \
             hive_types = {'dataset': VARCHAR, 'run': VARCHAR, 'seed': UBIGINT});",
            "CREATE OR REPLACE VIEW \"results\" AS FROM read_parquet('results/results.parquet');",
        ]
    );
    let comment = "COMMENT ON COLUMN \"head_metrics\".\"entropy_nats\" IS 'Mean entropy of the attention rows. Higher: more \
                   diffuse attention. Of uniform attention: in `baselines`. [nats]';";
    assert!(sql.contains(comment), "{sql}");
    assert!(sql.contains("after the current one''s first copy"), "quotes are doubled");
}
