//! The stage on a synthetic study: its files, figures and page, and that a rerun writes the same bytes.
//! `PLOT_STUDY=<folder>` keeps the study and the figures for inspection.

mod synthetic;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cli::Terminal;
use declarations::plot::{FigureNames, Parameters, Plot};
use declarations::{Execution, Fault, FigureName, FigureWidth, Job, Kind, Study, Theme};
use schemas::tables::{Attention, HeadMetrics};
use schemas::{Artifacts, Partition};

const STEPS: &str = "0,50,100-2000/100";

/// The figures' names, sorted.
fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = FigureName::ALL.iter().map(|name| name.word()).collect();
    names.sort_unstable();
    names
}

fn parameters(study: &Study) -> Parameters {
    Parameters {
        study: study.clone(),
        only: None,
        steps: None,
        width: FigureWidth::Page,
        theme: Theme::Light,
        titles: true,
        list: None,
        so_far: None,
    }
}

fn job(root: &Path, parameters: Parameters) -> Job<Plot> {
    Job::new(root, Partition::study(), parameters, Execution::default())
}

fn plot(root: &Path, study: &Study) -> Result<(), Fault> {
    plot::run(&job(root, parameters(study)), &Terminal::silent())
}

/// The bytes of every figure and of the page, by path below the root.
fn written(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["plots", "report"] {
        for entry in fs::read_dir(root.join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = format!("{folder}/{}", path.file_name().expect("a name").to_string_lossy());
            files.insert(name, fs::read(path).expect("readable"));
        }
    }
    files
}

#[test]
fn a_study_becomes_figures_and_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = std::env::var_os("PLOT_STUDY").map_or_else(|| folder.path().to_owned(), Into::into);
    let study = synthetic::study(&[1337, 1338, 1339], STEPS);
    synthetic::write(&Artifacts::new(&root), &study);
    plot(&root, &study).expect("drawn");

    let files = written(&root);
    let mut expected: Vec<String> = names()
        .iter()
        .flat_map(|name| {
            ["csv", "pdf", "png", "svg", "txt"].map(|ending| format!("plots/{name}_{}.{ending}", synthetic::DATASET))
        })
        .collect();
    expected.push("report/index.html".to_owned());
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), expected);
    for (name, bytes) in &files {
        match name.rsplit('.').next() {
            Some("png") => check_png(name, bytes),
            Some("svg") => check_svg(name, std::str::from_utf8(bytes).expect("text")),
            Some("pdf") => assert!(bytes.starts_with(b"%PDF-") && bytes.ends_with(b"%%EOF"), "{name}"),
            Some("csv") => check_csv(name, bytes),
            Some("txt") => assert!(bytes.len() > 100 && !bytes.contains(&b'{'), "{name}"),
            _ => {}
        }
    }
    check_page(std::str::from_utf8(&files["report/index.html"]).expect("text"));
    let svg =
        |name: &str| String::from_utf8_lossy(&files[&format!("plots/{name}_{}.svg", synthetic::DATASET)]).into_owned();
    assert!(svg("val_loss").contains("run_0 to run_3 (bit-identical)"));
    assert!(svg("attention_metrics").contains("uniform attention"));

    // Not where the study is for the tests in a browser, which wait for it.
    if std::env::var_os("PLOT_STUDY").is_none() {
        plot(&root, &study).expect("drawn again");
        assert!(written(&root) == files, "a rerun writes the same bytes");
    }
}

fn check_png(name: &str, bytes: &[u8]) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    assert_eq!(info.width, 1600, "{name}");
    assert!(info.height >= 500, "{name}: {}", info.height);
    let inked = pixels.chunks_exact(3).filter(|pixel| *pixel != [255, 255, 255]).count();
    let share = inked as f64 / (pixels.len() / 3) as f64;
    assert!((0.01..0.9).contains(&share), "{name}: {share} of it is inked");
    // Nothing is cut off at the edges.
    let row = info.width as usize * 3;
    let last = pixels.len() - row;
    assert!(pixels[..row].iter().chain(&pixels[last..]).all(|&channel| channel == 255), "{name}");
    assert!(pixels.chunks_exact(row).all(|row| row[..3] == [255; 3] && row[row.len() - 3..] == [255; 3]), "{name}");
}

/// Numbers are finite, and there are some.
fn check_csv(name: &str, bytes: &[u8]) {
    let mut reader = csv::Reader::from_reader(bytes);
    let columns = reader.headers().expect("a head").len();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    assert!(rows.len() >= 5 && columns >= 4, "{name}: {} rows of {columns}", rows.len());
    let numbers: Vec<f64> = rows.iter().flatten().filter_map(|cell| cell.parse().ok()).collect();
    assert!(numbers.len() >= 5 && numbers.iter().all(|number| number.is_finite()), "{name}");
}

fn check_svg(name: &str, svg: &str) {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{name}: {error}"));
    let text: String = document.descendants().filter_map(|node| node.text()).collect();
    let labels: &[&str] = match name {
        name if name.contains("val_loss") => &["validation loss (nats per character)", "training step"],
        name if name.contains("train_loss") => &["training loss (nats per character)", "training step"],
        name if name.contains("attention_metrics") => {
            &["entropy (nats)", "mean attention distance (characters)", "layer 3"]
        }
        name if name.contains("layer_similarity") => &["JS similarity of layers", "3 apart", "step 600"],
        name if name.contains("generation_quality") => {
            &["quality (standard deviations from real text, log scale)", "real text", "trigram model"]
        }
        name if name.contains("quality_attention") => {
            &["quality (standard deviations)", "normalized entropy", "final checkpoint: ρ = "]
        }
        name if name.contains("attention_maps") => &["layer 0", "head 3", "step 2000", "square-root colour scale"],
        name if name.contains("heat_maps") => {
            &["layer 3", "induction score", "90 % span (characters)", "training step"]
        }
        name if name.contains("span_distribution") => &["over training", "by layer, step 2000"],
        name if name.contains("correlations") => {
            &["over training, partial", "validation loss", "Spearman's correlation"]
        }
        name if name.contains("trajectories") => &["layer 3", "induction score", "matched 0.40", "chance 0.41, p 0.35"],
        name if name.contains("onsets") => {
            // The last metric is declared in no table.
            &[
                "induction score, +0.40",
                "validation loss falls",
                "310 [205, 469], 2 of 3 seeds",
                "16–32 in every seed",
                "unheard_of falls",
            ]
        }
        name if name.contains("findings") => &["supported", "refuted", "inconclusive", "not tested", "−0.5", "0.5"],
        _ => &["training step"],
    };
    for label in labels {
        assert!(text.contains(label), "{name} lacks “{label}”");
    }
    let attributes = document.descendants().flat_map(|node| node.attributes());
    for attribute in attributes.filter(|attribute| !attribute.value().starts_with("data:")) {
        assert!(!attribute.value().contains("NaN") && !attribute.value().contains("inf"), "{name}: {attribute:?}");
    }
}

fn check_page(page: &str) {
    for name in names() {
        assert!(
            page.contains(&format!(
                "<figure class=\"drawn\" id=\"{}-figure-{name}\">",
                synthetic::DATASET.replace('_', "-")
            )),
            "{name}"
        );
    }
    assert_eq!(page.matches("<figure class=\"drawn\" ").count(), names().len());
    let values =
        |start: &str| -> Vec<&str> { page.split(start).skip(1).filter_map(|rest| rest.split('"').next()).collect() };
    let sections = values("<section id=\"");
    let mut ids = [sections.clone(), values("<figure class=\"drawn\" id=\""), values("<script id=\"")].concat();
    assert!(values("href=\"#").iter().all(|link| *link == "main" || sections.contains(link)), "links lead to sections");
    ids.sort_unstable();
    assert!(ids.windows(2).all(|two| two[0] != two[1]), "ids are unique: {ids:?}");
    // Every table's strings are data, also where they look like markup: label, reason, window, sample, configuration.
    for text in [
        synthetic::LABEL,
        synthetic::NOTE,
        "is <where> it is & not",
        "with <0.5> it holds & with",
        "Before we <go>",
        "<exeunt>",
        "x<Q&z\u{FFFD}'k!",
        "a < b",
    ] {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        // In the data of the views it is JSON, whose `<` is escaped.
        assert!(page.contains(&escaped) && !page.contains(text), "{text}");
    }
    assert!(page.contains("1.9147 ± 0.0081") && page.contains("confounded by step"));
    // An inconclusive claim has what the study could have decided, and a verdict the thresholds on which it depends.
    assert!(page.contains("with 3 seeds, detectable: <b>1.00<") && page.contains("needed: <b>21 seeds</b>"));
    assert!(page.contains("bootstrap [0.0040, 0.038]") && page.contains("Depends on a threshold of ours: </b>with"));
    // Losses over both whole splits, of the one run that has them, in three units; and the notes on the text.
    assert!(
        page.contains("Losses over whole splits, of the last checkpoint") && page.matches(">111,539<").count() == 2
    );
    assert!(page.contains("carriage returns: 32,777, 1.2 %") && !page.contains("role=\"note\"><p><b>What there is"));
    for verdict in ["supported", "refuted", "inconclusive", "not tested"] {
        assert!(page.contains(&format!("{verdict}</span>")), "{verdict}");
    }
    // The page is self-contained.
    let outside =
        page.match_indices("href=\"").chain(page.match_indices("src=\"")).map(|(at, found)| &page[at + found.len()..]);
    for link in outside {
        assert!(["#", "data:", "../plots/"].iter().any(|inside| link.starts_with(inside)), "{}", &link[..40]);
    }
    for outside in ["<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    // One script, which the policy names by its hash; the others are data.
    assert_eq!((page.matches("<script>").count(), page.matches("script-src 'sha256-").count()), (1, 1));
    let data = page.matches("<script id=\"").count();
    assert_eq!(page.matches("type=\"text/plain\"").count() + page.matches("type=\"application/json\"").count(), data);
}

#[test]
fn a_log_spaced_schedule_has_a_logarithmic_axis() {
    let folder = tempfile::tempdir().expect("a folder");
    let root =
        std::env::var_os("PLOT_STUDY").map_or_else(|| folder.path().to_owned(), |root| Path::new(&root).join("log"));
    let study = synthetic::study(&[1337, 1338, 1339], "0,1-512*2,600-2000/100");
    synthetic::write(&Artifacts::new(&root), &study);
    plot(&root, &study).expect("drawn");
    let files = written(&root);
    let without_steps = ["attention_maps", "correlations", "findings"];
    for name in names().into_iter().filter(|name| !without_steps.contains(name)) {
        let svg = String::from_utf8_lossy(&files[&format!("plots/{name}_{}.svg", synthetic::DATASET)]).into_owned();
        assert!(svg.contains("training step (log scale)"), "{name}");
        assert!(!svg.contains("NaN"), "{name}");
    }
}

#[test]
fn one_seed_has_no_band_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let study = synthetic::study(&[1337], "0,100,200");
    synthetic::write(&Artifacts::new(folder.path()), &study);
    plot(folder.path(), &study).expect("drawn");
    let name = format!("plots/val_loss_{}.svg", synthetic::DATASET);
    let svg = fs::read_to_string(folder.path().join(name)).expect("an SVG");
    assert!(svg.contains("one seed, no error band") && !svg.contains("<polygon"));
    // A partial correlation needs seeds: its panel is left out.
    let name = format!("plots/correlations_{}.svg", synthetic::DATASET);
    let svg = fs::read_to_string(folder.path().join(name)).expect("an SVG");
    assert!(svg.contains("over training, raw") && svg.contains("over samples") && !svg.contains("partial"));
}

#[test]
fn the_shortest_trainings_are_drawn() {
    for steps in ["0", "0,1"] {
        let folder = tempfile::tempdir().expect("a folder");
        let study = synthetic::study(&[1, 2], steps);
        synthetic::write(&Artifacts::new(folder.path()), &study);
        plot(folder.path(), &study).expect("drawn");
        for (name, bytes) in written(folder.path()).iter().filter(|(name, _)| name.ends_with("svg")) {
            assert!(!String::from_utf8_lossy(bytes).contains("NaN"), "{name}");
        }
    }
}

#[test]
fn figures_without_their_tables_are_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut study = synthetic::study(&[1337, 1338], "0,100,200");
    study.runs.truncate(1);
    synthetic::write(&Artifacts::new(folder.path()), &study);
    plot(folder.path(), &study).expect("drawn");
    let pictures: Vec<_> = written(folder.path()).into_keys().filter(|name| name.ends_with(".png")).collect();
    let expected =
        ["findings", "train_loss", "val_loss"].map(|name| format!("plots/{name}_{}.png", synthetic::DATASET));
    assert_eq!(pictures, expected);
}

#[test]
fn a_missing_table_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let artifacts = Artifacts::new(folder.path());
    let study = synthetic::study(&[1337], "0,100");
    synthetic::write(&artifacts, &study);
    let lost =
        artifacts.path::<HeadMetrics>(&Partition::dataset(synthetic::DATASET).run("run_3").seed(1337)).expect("a path");
    fs::remove_file(&lost).expect("removed");
    let fault = plot(folder.path(), &study).expect_err("a table is missing");
    assert_eq!(fault.kind(), Kind::Input);
    assert!(
        fault.to_string().contains(&lost.display().to_string()) && fault.to_string().contains("metrics"),
        "{fault}"
    );
    assert!(!folder.path().join("plots").exists());
}

/// A page of a study that runs: one seed has no attention, none has the last snapshot or scores, and nothing is concluded.
#[test]
fn a_study_that_runs_has_a_page_of_what_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = std::env::var_os("PLOT_STUDY").map(|kept| Path::new(&kept).join("so_far"));
    let root = kept.as_deref().unwrap_or(folder.path());
    let artifacts = Artifacts::new(root);
    let study = synthetic::study(&[1337, 1338, 1339], "0,100,200,300");
    synthetic::write(&artifacts, &study);
    let so_far = Parameters { so_far: Some(true), ..parameters(&study) };
    let page = |parameters: &Parameters| {
        plot::run(&job(root, parameters.clone()), &Terminal::silent())?;
        Ok::<_, Fault>(fs::read_to_string(root.join("report/so_far.html")).expect("a page"))
    };
    let whole = page(&so_far).expect("drawn");
    assert!(whole.contains("Every table of the study is there"));
    for table in ["results", "findings", "onsets", "head_matches", "correlations", "sample_scores"] {
        fs::remove_dir_all(root.join(table)).expect("removed");
    }
    for run in ["run_1", "run_2", "run_3"] {
        let of = |seed| Partition::dataset(synthetic::DATASET).run(run).seed(seed);
        fs::remove_file(artifacts.path::<HeadMetrics>(&of(1339)).expect("a path")).expect("removed");
        for seed in [1337, 1338] {
            fs::remove_file(artifacts.path::<Attention>(&of(seed).step(300)).expect("a path")).expect("removed");
        }
    }
    let some = page(&so_far).expect("drawn");
    let missing = [
        "scores of generated text of run_3",
        "seed 1339 of shakespeare_char",
        "the steps of shakespeare_char after 200",
        "findings",
    ];
    assert!(missing.iter().all(|what| some.contains(&format!("<li>{what}"))), "{missing:?}");
    fs::rename(root.join("report/so_far.html"), root.join("report/some.html")).expect("renamed");
    assert!(some.contains("figure-attention_maps") && !some.contains("figure-findings"));
    assert!(!some.contains("../plots/") && !root.join("plots").exists(), "figures of a part are no files");

    fs::remove_dir_all(root.join("windows")).expect("removed");
    let losses = page(&so_far).expect("drawn");
    assert!(losses.contains("figure-val_loss") && !losses.contains("figure-attention_maps"));
    assert!(losses.contains("attention maps and metrics of run_1") && !losses.contains("seed 1339 of"));
    fs::remove_dir_all(root.join("evaluations")).expect("removed");
    let nothing = page(&so_far).expect_err("nothing is there");
    assert!(nothing.kind() == Kind::Input && nothing.to_string().contains("no training has written its losses"));
}

#[test]
fn only_what_is_asked_for_is_written_and_the_page_has_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let study = synthetic::study(&[1337, 1338], "0,100,200,300");
    synthetic::write(&Artifacts::new(folder.path()), &study);
    let only: FigureNames = "attention_maps,layer_similarity,onsets".parse().expect("names");
    let asked = Parameters {
        only: Some(only),
        steps: Some("100,300".parse().expect("steps")),
        width: FigureWidth::OneColumn,
        theme: Theme::Print,
        titles: false,
        ..parameters(&study)
    };
    plot::run(&job(folder.path(), asked), &Terminal::silent()).expect("drawn");
    let files = written(folder.path());
    assert_eq!(files.len(), 3 * 5 + 1);
    let page = String::from_utf8_lossy(&files["report/index.html"]).into_owned();
    assert_eq!(page.matches("<figure ").count(), names().len());
    for name in ["attention_maps", "layer_similarity"] {
        let file = |ending: &str| {
            String::from_utf8_lossy(&files[&format!("plots/{name}_{}.{ending}", synthetic::DATASET)]).into_owned()
        };
        let svg = file("svg");
        assert!(svg.contains("width=\"85mm\"") && svg.contains("step 100") && svg.contains("step 300"), "{name}");
        assert!(!svg.contains("step 200") && !svg.contains("step 0"), "{name}");
        assert!(file("txt").contains("run_3"), "the caption has the subtitle");
    }
    let refused = Parameters { steps: Some("50".parse().expect("steps")), ..parameters(&study) };
    let refused = <Plot as declarations::Stage>::validate(&refused).expect_err("no such snapshot");
    assert!(Fault::from(refused).to_string().contains("step 50"));
}

/// `page` itself must not rely on names being harmless: here even the dataset's is markup.
#[test]
fn no_string_of_a_table_is_markup_on_the_page() {
    const MARKUP: &str = "<script>alert(1)</script>&\"'";
    let folder = tempfile::tempdir().expect("a folder");
    let study = synthetic::study(&[1337, 1338], "0,100,200");
    let artifacts = Artifacts::new(folder.path());
    synthetic::write(&artifacts, &study);
    let mut inputs =
        plot::inputs::Inputs::read(&job(folder.path(), parameters(&study)).inputs, &parameters(&study)).expect("read");
    let markup = || MARKUP.to_owned();
    for row in &mut inputs.results {
        (row.dataset, row.run, row.label, row.training_of) = (markup(), markup(), markup(), markup());
    }
    for dataset in &mut inputs.datasets {
        dataset.study.name = markup();
        for row in &mut dataset.findings {
            (row.claim, row.statement, row.statistic, row.reason) = (markup(), markup(), markup(), markup());
        }
        for row in &mut dataset.correlations {
            (row.x, row.y) = (markup(), markup());
        }
        dataset.samples.iter_mut().for_each(|row| row.text = markup());
        for run in &mut dataset.losses {
            (run.run.name, run.run.label) = (markup(), markup());
        }
        let attention = dataset.attention.as_mut().expect("attention");
        attention.run = markup();
        attention.window.as_mut().expect("a window").text = markup();
        for row in &mut attention.onsets {
            (row.metric, row.reason) = (markup(), Some(markup()));
        }
        for source in &mut dataset.sources {
            (source.run, source.provenance.producer) = (Some(markup()), markup());
            source.provenance.config = serde_json::json!({MARKUP: MARKUP});
        }
    }
    let rendered: Vec<_> = inputs
        .datasets
        .iter()
        .map(|dataset| {
            let figures = plot::figures::all(dataset).into_iter();
            figures
                .map(|figure| {
                    let pictures = plot::render::pictures(&figure).expect("rendered");
                    (figure, pictures)
                })
                .collect()
        })
        .collect();
    let explorer = plot::explorer::Explorer {
        study: serde_json::json!({ "datasets": [MARKUP], MARKUP: MARKUP }),
        chunks: Vec::new(),
    };
    let page = plot::report::page(&inputs, &rendered, &explorer);
    assert!(!page.contains("<script>alert") && page.matches("&lt;script&gt;alert(1)").count() > 50);
    assert!(page.contains("\\u003cscript\\u003ealert(1)") && !page.contains(MARKUP) && !page.contains("\"<script"));
}
