//! The stage `prep`: its tables and its errors.

use std::fs;
use std::path::{Path, PathBuf};

use cli::Terminal;
use declarations::prep::Prep;
use declarations::{Fault, Job, Kind};
use schemas::enums::Split;
use schemas::tables::{Corpus, SemanticSpace, Vocabulary};
use schemas::{Alphabet, Artifacts, Partition, Table};

fn run(root: &Path, flags: &[&str]) -> Result<(), Fault> {
    let root = root.to_str().expect("the folder's name is text");
    let place = ["prep", "--artifacts", root, "--data", root, "--quiet"];
    let job = Job::<Prep>::parse(place.iter().chain(flags))?;
    prep::run(&job, &Terminal::silent())
}

fn tokens(root: &Path, dataset: &str, split: Split) -> Vec<u16> {
    let partition = Partition::dataset(dataset).split(split);
    let loaded = Artifacts::new(root).read::<Corpus>(&partition).expect("the split");
    loaded.rows.iter().map(|row| row.token).collect()
}

fn rows<T: Table>(root: &Path, dataset: &str) -> Vec<T> {
    Artifacts::new(root).read::<T>(&Partition::dataset(dataset)).expect("the table").rows
}

fn text_of(root: &Path, dataset: &str) -> String {
    let splits = [Split::Train, Split::Val, Split::Test].map(|split| tokens(root, dataset, split));
    Alphabet::new(&rows::<Vocabulary>(root, dataset)).decode(&splits.concat())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

#[test]
fn shakespeare_needs_no_network() {
    let root = tempfile::tempdir().expect("a folder");
    run(root.path(), &["--dataset", "shakespeare_char"]).expect("it is built in");
    let splits = [Split::Train, Split::Val, Split::Test].map(|split| tokens(root.path(), "shakespeare_char", split));
    assert_eq!(splits.each_ref().map(Vec::len), [1_003_854, 111_540, 0]);
    let vocabulary: Vec<Vocabulary> = rows(root.path(), "shakespeare_char");
    let symbols: String = vocabulary.iter().map(|row| row.symbol.as_str()).collect();
    assert_eq!(symbols, "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    assert_eq!(vocabulary.iter().map(|row| row.train_count).sum::<u64>(), 1_003_854);
    // The first tokens that nanoGPT's own preparation writes.
    assert_eq!(splits[0][..14], [18, 47, 56, 57, 58, 1, 15, 47, 58, 47, 64, 43, 52, 10]);
    let space: Vec<SemanticSpace> = rows(root.path(), "shakespeare_char");
    assert_eq!(space[..3].iter().map(|row| row.word.as_str()).collect::<Vec<_>>(), ["the", "and", "i"]);
    assert!(space.iter().all(|row| row.loadings.len() == 64 && row.idf >= 1.0));
    for dimension in 0..64 {
        let length: f64 = space.iter().map(|row| row.loadings[dimension].powi(2)).sum();
        assert!((length - 1.0).abs() < 1e-12, "vector {dimension} has squared length {length}");
    }
    let footer = Artifacts::new(root.path())
        .read::<Vocabulary>(&Partition::dataset("shakespeare_char"))
        .expect("the table")
        .provenance;
    let config = serde_json::json!({"encoding": "utf8", "train_fraction": 0.9, "val_fraction": 0.1});
    assert_eq!((footer.config, footer.inputs[0].path.as_str()), (config, "shakespeare_char.txt"));
}

#[test]
fn controls_need_no_network() {
    let root = tempfile::tempdir().expect("a folder");
    for (dataset, train, symbols, has_words) in [
        ("control_lag", 900_000, "0123456789:;<=>?", false),
        ("control_copy", 900_000, "0123456789:;<=>?", false),
        ("control_shuffled", 1_003_854, "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", true),
    ] {
        run(root.path(), &["--dataset", dataset]).expect(dataset);
        assert_eq!(tokens(root.path(), dataset, Split::Train).len(), train, "{dataset}");
        let vocabulary: Vec<Vocabulary> = rows(root.path(), dataset);
        assert_eq!(vocabulary.iter().map(|row| row.symbol.as_str()).collect::<String>(), symbols);
        assert_eq!(!rows::<SemanticSpace>(root.path(), dataset).is_empty(), has_words, "{dataset}");
    }
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let text = "Whether 'tis nobler in the mind to suffer\n".repeat(30) + &"the slings, and arrows\n".repeat(20);
    let written = [&["--threads", "1"][..], &["--threads", "2"]].map(|threads| {
        let root = tempfile::tempdir().expect("a folder");
        let source = root.path().join("hamlet.txt");
        fs::write(&source, &text).expect("a text");
        let source = source.to_str().expect("the name is text");
        run(root.path(), &[&["--dataset", "hamlet", "--source", source], threads].concat()).expect("a text");
        files(root.path()).iter().map(|file| fs::read(file).expect("a table")).collect::<Vec<_>>()
    });
    assert!(written[0] == written[1]);
    assert_eq!(written[0].len(), 7, "the text, vocabulary, semantic space, notes and three splits");
}

#[test]
fn tokens_of_a_custom_text_decode_to_it() {
    let text = "Ångström schläft nicht. €\n".repeat(40);
    let root = tempfile::tempdir().expect("a folder");
    let source = root.path().join("own.txt");
    fs::write(&source, &text).expect("a text");
    let source = source.to_str().expect("the name is text");
    let fractions = ["--train-fraction", "0.5", "--val-fraction", "0.25"];
    run(root.path(), &[&["--dataset", "own", "--source", source], &fractions[..]].concat()).expect("a text");
    assert_eq!(text_of(root.path(), "own"), text);
    assert_eq!(
        [Split::Train, Split::Val, Split::Test].map(|split| tokens(root.path(), "own", split).len()),
        [520, 260, 260]
    );
    let words: Vec<String> = rows::<SemanticSpace>(root.path(), "own").into_iter().map(|row| row.word).collect();
    assert!(words.contains(&"ångström".to_owned()), "{words:?}");

    run(root.path(), &["--dataset", "own_bytes", "--source", source, "--encoding", "bytes"]).expect("any bytes");
    assert_eq!(text_of(root.path(), "own_bytes"), text);
    let of_bytes: Vec<String> =
        rows::<SemanticSpace>(root.path(), "own_bytes").into_iter().map(|row| row.word).collect();
    assert!(of_bytes.contains(&"schläft".to_owned()), "{of_bytes:?}");
    assert!(rows::<Vocabulary>(root.path(), "own_bytes").iter().all(|row| row.bytes.len() == 1));
}

#[test]
fn a_text_without_words_has_an_empty_space() {
    let root = tempfile::tempdir().expect("a folder");
    let source = root.path().join("digits.txt");
    fs::write(&source, "31415926535 ".repeat(100)).expect("a text");
    run(root.path(), &["--dataset", "digits", "--source", source.to_str().expect("text")]).expect("a text");
    assert!(rows::<SemanticSpace>(root.path(), "digits").is_empty());
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let root = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = root.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path.to_str().expect("the name is text").to_owned()
    };
    let (bad, short, empty) = (file("bad", b"abc\xff\xfedef"), file("short", b"abcdefgh"), file("empty", b""));
    let many: String = ('\u{20}'..).filter(|character| !character.is_control()).take(65_537).collect();
    let many = file("many", many.as_bytes());
    let other = file("other", b"First Citizen:");
    let (packed, zip) = (file("packed", b"\x1f\x8b\x08\0rest"), file("zip", b"PK\x03\x04rest"));
    let utf16 = file("utf16", b"\xff\xfet\0e\0x\0t\0");
    let folder = root.path().to_str().expect("the name is text").to_owned();
    for (flags, kind, said) in [
        (
            vec!["--dataset", "x", "--source", &bad],
            Kind::Input,
            "at byte 3: convert it, or read its bytes by encoding bytes (--text-encoding of the pipeline)",
        ),
        (
            vec!["--dataset", "x", "--source", &short],
            Kind::Input,
            "too short: of its 8 characters the train split has 7 and the validation split 1",
        ),
        (vec!["--dataset", "x", "--source", &empty], Kind::Input, "is empty"),
        (vec!["--dataset", "x", "--source", &folder], Kind::Input, "is a folder"),
        (vec!["--dataset", "x", "--source", &packed], Kind::Input, "is gzip-compressed: decompress it by `gunzip "),
        (vec!["--dataset", "x", "--source", &utf16], Kind::Input, "is text in UTF-16: convert it by `iconv "),
        (vec!["--dataset", "enwik8", "--source", &zip], Kind::Input, "is a zip archive: decompress it by `unzip "),
        (vec!["--dataset", "x", "--source", &many], Kind::Input, "65537 distinct characters"),
        (vec!["--dataset", "x", "--source", "/nowhere/x"], Kind::Input, "cannot read /nowhere/x"),
        (vec!["--dataset", "x"], Kind::Parameter, "shakespeare_char, enwik8, text8, control_lag"),
        (vec!["--dataset", "x", "--source", &bad, "--val-fraction", "0.2"], Kind::Parameter, "together at most 1"),
        (vec!["--dataset", "shakespeare_char", "--source", &other], Kind::Input, "has 14 bytes, expected 1115394"),
        (
            vec!["--dataset", "enwik8", "--mirrors", "http://127.0.0.1:9/enwik8.zip"],
            Kind::Input,
            "could not be downloaded",
        ),
    ] {
        let fault = run(root.path(), &flags).expect_err(said);
        assert!(fault.to_string().contains(said), "{flags:?}: {fault}");
        assert_eq!(fault.kind(), kind, "{fault}");
    }
    let tables: Vec<PathBuf> = files(root.path()).into_iter().filter(|file| file.extension().is_some()).collect();
    assert!(tables.is_empty(), "{tables:?}");
}

/// Reads a text by an alphabet of JSON.
fn with_alphabet(root: &Path, text: &str, symbols: &str, encoding: &str) -> Result<(), Fault> {
    let files = [("text.txt", text), ("alphabet.json", symbols)].map(|(name, content)| {
        let path = root.join(name);
        fs::write(&path, content).expect("a file");
        path.into_os_string().into_string().expect("a path")
    });
    let [text, alphabet] = &files;
    run(root, &["--dataset", "mine", "--source", text, "--encoding", encoding, "--vocabulary", alphabet])
}

#[test]
fn an_alphabet_from_elsewhere_numbers_the_text_or_refuses_it() {
    let root = tempfile::tempdir().expect("a folder");
    let flags = |symbols: &str| with_alphabet(root.path(), "abcab abcab abcab", symbols, "utf8");
    flags(r#"["c", "b", "a", "z", " "]"#).expect("all are in it");
    assert_eq!(tokens(root.path(), "mine", Split::Train)[..6], [2, 1, 0, 2, 1, 4]);
    let counts: Vec<u64> = rows::<Vocabulary>(root.path(), "mine").iter().map(|row| row.train_count).collect();
    assert_eq!(counts, [3, 5, 5, 0, 2]);
    let refused = flags(r#"["c", "b", " "]"#).expect_err("a is unknown").to_string();
    assert!(refused.contains("text.txt has 'a' as character 0, which is not among the 3 symbols"), "{refused}");
    let refused = flags(r#"["ab", "c"]"#).expect_err("a subword").to_string();
    assert!(refused.contains("\"ab\" for the token 0, and the text is read by single characters"), "{refused}");
}

#[test]
fn an_alphabet_of_bytes_numbers_bytes() {
    let root = tempfile::tempdir().expect("a folder");
    let flags = |symbols: &str| with_alphabet(root.path(), "aéaéaéaéa", symbols, "bytes");
    // A character of two bytes is no symbol of a text of bytes, although its code point is a byte's value.
    let refused = flags(r#"["é", "a"]"#).expect_err("two bytes").to_string();
    assert!(refused.contains("\"é\" for the token 0, and the text is read by single bytes"), "{refused}");
    let refused = flags(r#"["a", "b"]"#).expect_err("two bytes are unknown").to_string();
    assert!(refused.contains("has the byte 0xc3 as character 1"), "{refused}");
}

#[test]
fn tokens_of_a_tokenizer_keep_their_numbers() {
    let root = tempfile::tempdir().expect("a folder");
    let (file, symbols) = (root.path().join("train.bin"), root.path().join("vocab.json"));
    let numbers: [u16; 10] = [2, 0, 1, 2, 0, 1, 2, 0, 3, 2];
    fs::write(&file, numbers.map(u16::to_le_bytes).concat()).expect("tokens");
    fs::write(&symbols, r#"["to be ", "or ", "not ", "that", "is"]"#).expect("symbols");
    let [file, symbols] = [&file, &symbols].map(|path| path.to_str().expect("a path"));
    let flags = [
        "--dataset",
        "mine",
        "--source",
        file,
        "--encoding",
        "tokens",
        "--val-fraction",
        "0.2",
        "--train-fraction",
        "0.8",
    ];
    let fault = run(root.path(), &flags).expect_err("no vocabulary");
    assert_eq!(
        (fault.kind(), fault.to_string().starts_with("encoding tokens needs `vocabulary`")),
        (Kind::Parameter, true)
    );
    run(root.path(), &[&flags[..], &["--vocabulary", symbols]].concat()).expect("tokens with symbols");
    assert_eq!(tokens(root.path(), "mine", Split::Train), numbers[..8]);
    assert_eq!(tokens(root.path(), "mine", Split::Val), numbers[8..]);
    let rows = rows::<Vocabulary>(root.path(), "mine");
    let said: Vec<_> = rows.iter().map(|row| (row.symbol.as_str(), row.code_point, row.train_count)).collect();
    assert_eq!(said, [("to be ", None, 3), ("or ", None, 2), ("not ", None, 3), ("that", None, 0), ("is", None, 0)]);
}
