//! What a stage is, and the macro that declares one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches};
use schemas::{Alphabet, Artifacts, Key, Partition, Provenance};

use crate::command::{self, Execution};
use crate::tables::members;
use crate::{Cost, Inputs, Invalid, Outputs, Study, TrainingSections, Usage};

/// What one job of a stage covers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// One dataset.
    Dataset,
    /// One training: a dataset, a run and a seed.
    Training,
    /// The whole study.
    Study,
}

/// What is known of a dataset's text once `prep` has read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextFacts {
    /// The vocabulary.
    pub alphabet: Alphabet,
    /// The characters of the train split.
    pub train: usize,
    /// The characters of the validation split.
    pub val: usize,
}

/// What is known beside a job's parameters where it is warned of their effect: to the driver from the rest of the study and, once
/// `prep` has read it, the text; to a stage that runs from what it has read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'known> {
    /// The model's block size.
    pub block_size: Option<u32>,
    /// The text.
    pub text: Option<&'known TextFacts>,
}

/// A flag of a command line: `--n-layer 6`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Flag {
    /// The parameter's name, as in `pipeline.yaml`.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether it affects the content that is written, and not only where or how fast.
    pub decides: bool,
}

/// A stage's declaration; [`stage!`](crate::stage) implements it.
pub trait Stage: Sized + 'static {
    /// The stage's name, which is also that of its program and of its section in `pipeline.yaml`.
    const NAME: &'static str;
    /// The version of its results: raised whenever the same parameters and inputs give other bytes.
    const VERSION: u32;
    /// What one job covers.
    const PER: Per;
    /// Its description in `--help`; the first paragraph is the summary.
    const ABOUT: &'static str;
    /// An example command.
    const EXAMPLE: &'static str;

    /// The flags' values.
    type Parameters: Clone + std::fmt::Debug + Send + Sync;
    /// The section of `pipeline.yaml`.
    type Section: Clone + std::fmt::Debug + Default;
    /// The values that the driver derives from the rest of the study.
    type Derived: Clone + std::fmt::Debug + Default;

    /// The values of a section, with what the driver derived.
    fn parameters(section: &Self::Section, derived: Self::Derived) -> Self::Parameters;

    /// Refuses invalid values, as far as that needs no data.
    ///
    /// # Errors
    /// The first invalid parameter.
    fn validate(parameters: &Self::Parameters) -> Result<(), Invalid>;

    /// Refuses values that do not fit the dataset's text, as far as only its size and symbols decide.
    ///
    /// # Errors
    /// The first parameter that does not fit.
    fn check_text(_parameters: &Self::Parameters, _text: &TextFacts) -> Result<(), Invalid> {
        Ok(())
    }

    /// Values that are valid and do what hardly anyone means: inputs that are cut, schedules that contradict each other. Where
    /// less is known, fewer are found.
    fn warnings(_parameters: &Self::Parameters, _facts: &Facts<'_>) -> Vec<Invalid> {
        Vec::new()
    }

    /// The values as flags, in the order of the declaration; what has no value is left out.
    fn flags(parameters: &Self::Parameters) -> Vec<Flag>;

    /// The values that affect the content, as a footer's `config`.
    fn config(parameters: &Self::Parameters) -> serde_json::Map<String, serde_json::Value>;

    /// The flags as clap arguments.
    fn arguments() -> Vec<Arg>;

    /// The flags' values, parsed.
    fn from_matches(matches: &ArgMatches) -> Self::Parameters;

    /// The study, of a stage that reads all of it.
    fn study(parameters: &Self::Parameters) -> Option<&Study>;

    /// The tables that it reads.
    fn reads() -> Vec<Usage<Self::Parameters>>;

    /// The tables that it writes.
    fn writes() -> Vec<Usage<Self::Parameters>>;

    /// The files that it writes beside tables, and the folders that are its own, relative to the root.
    fn pictures(_parameters: &Self::Parameters) -> Pictures {
        Pictures::default()
    }

    /// The tables that it writes, with their versions.
    fn tables() -> Vec<(&'static str, u32)> {
        Self::writes().iter().map(|usage| (usage.table, usage.version)).collect()
    }

    /// An estimate of a job's cost; `training` has all sections of the training that it is of.
    fn cost(parameters: &Self::Parameters, training: Option<&TrainingSections>) -> Cost;

    /// The files that a job reads, relative to the root.
    fn inputs(parameters: &Self::Parameters, partition: &Partition) -> Vec<PathBuf> {
        let members = members(partition, Self::study(parameters));
        Self::reads().iter().flat_map(|usage| usage.files(parameters, &members)).collect()
    }

    /// The files that exist once a job has run, relative to the root.
    fn outputs(parameters: &Self::Parameters, partition: &Partition) -> Vec<PathBuf> {
        written::<Self>(parameters, partition, |_| true)
    }

    /// The files of which a finished job's results consist, relative to the root: its outputs, but those that are needed only
    /// to resume it.
    fn results(parameters: &Self::Parameters, partition: &Partition) -> Vec<PathBuf> {
        written::<Self>(parameters, partition, |usage| !usage.is_only_to_resume())
    }

    /// Whether a job with these parameters, on the same inputs, goes on from what one of other parameters wrote, and ends with
    /// the results of doing all of the work; `earlier` is the `config` of its footers.
    fn continues(_parameters: &Self::Parameters, _earlier: &serde_json::Map<String, serde_json::Value>) -> bool {
        false
    }

    /// The folders in which nothing lies but what a job writes, relative to the root.
    fn folders(parameters: &Self::Parameters, partition: &Partition) -> Vec<PathBuf> {
        let tables = Self::writes();
        let mut folders: Vec<PathBuf> = tables.iter().map(|usage| usage.folder(partition)).collect();
        folders.dedup();
        folders.extend(Self::pictures(parameters).folders);
        folders
    }
}

/// The files that a job writes: of its tables those that are wanted, and its pictures.
fn written<S: Stage>(
    parameters: &S::Parameters,
    partition: &Partition,
    is_wanted: impl Fn(&Usage<S::Parameters>) -> bool,
) -> Vec<PathBuf> {
    let members = members(partition, S::study(parameters));
    let tables = S::writes().into_iter().filter(is_wanted);
    let mut files: Vec<_> = tables.flat_map(|usage| usage.files(parameters, &members)).collect();
    files.extend(S::pictures(parameters).files);
    files
}

/// The outputs of a stage that are not tables.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The folders that hold only these files.
    pub folders: Vec<PathBuf>,
}

/// One execution of a stage: what it covers, its parameters, and how it is executed.
#[derive(Clone, Debug)]
pub struct Job<S: Stage> {
    /// Its dataset, run and seed, as far as it has them.
    pub partition: Partition,
    /// The flags' values.
    pub parameters: S::Parameters,
    /// How it is executed; the results do not depend on it.
    pub execution: Execution,
    /// Other runs with the same parameters and inputs, for which its tables stand too, under links.
    pub shared_by: Vec<String>,
    /// The tables that it reads.
    pub inputs: Inputs<S>,
    /// The tables that it writes.
    pub outputs: Outputs<S>,
}

impl<S: Stage> Job<S> {
    /// A job on the tables in a folder.
    pub fn new(
        artifacts: impl Into<PathBuf>,
        partition: Partition,
        parameters: S::Parameters,
        execution: Execution,
    ) -> Self {
        let artifacts = Artifacts::new(artifacts);
        let declared: BTreeSet<PathBuf> = S::inputs(&parameters, &partition).into_iter().collect();
        let inputs = Inputs::new(artifacts.clone(), declared);
        let shared_by = Vec::new();
        Self { partition, parameters, execution, shared_by, inputs, outputs: Outputs::new(artifacts) }
    }

    /// Parses a command line, the program's name first.
    ///
    /// # Errors
    /// What is wrong with it; also `--help` and `--version`, which clap treats as errors.
    pub fn parse<I, T>(words: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        command::parse(words)
    }

    /// The producer in the footers of its tables: the stage, and the parameters that affect the content.
    pub fn provenance(&self) -> Provenance {
        Provenance::new(S::NAME, S::VERSION, S::config(&self.parameters).into()).shared_by(&self.shared_by)
    }

    /// The dataset's name; empty for a job that covers the whole study.
    pub fn dataset(&self) -> String {
        self.partition.value(Key::Dataset).unwrap_or_default()
    }

    /// The run's name; empty for a job without one.
    pub fn run(&self) -> String {
        self.partition.value(Key::Run).unwrap_or_default()
    }

    /// The seed; 0 for a job without one.
    pub fn seed(&self) -> u64 {
        self.partition.value(Key::Seed).and_then(|seed| seed.parse().ok()).unwrap_or_default()
    }
}

/// Declares a stage. [`train`](crate::train) is an example; `docs/extending.md` explains one.
///
/// Blocks of values, each of which can be left out, and each value with its help:
/// - `derived`: flags that the driver derives from the rest of the study;
/// - `parameters "Heading"`: flags and keys of `pipeline.yaml`, with a range where one makes sense, and a default;
/// - `settings`: the same, but they do not change what is written, and so neither reach a footer nor make results stale;
/// - `schedule`: keys of `pipeline.yaml` that are no flags, from which others are derived;
/// - `internal`: flags that neither decide anything nor are in `pipeline.yaml`.
///
/// `check` refuses values that do not fit each other, `text` those that do not fit the dataset's text; `warn` is
/// [`Stage::warnings`]; `continues` is [`Stage::continues`], for a stage that goes on from less; `reads` and `writes` list tables
/// ([`Usage`]).
#[macro_export]
macro_rules! stage {
    (
        $(#[doc = $about:literal])+
        $stage:ident $name:literal results $version:literal per $per:ident $(on $device:ident)?
        example $example:literal
        $(derived {$(
            $(#[doc = $derived_doc:literal])+
            $derived:ident: $derived_type:ty,
        )+})?
        $(parameters $heading:literal {$(
            $(#[doc = $parameter_doc:literal])+
            $parameter:ident: $parameter_type:ty $([$range:expr])? = $default:expr,
        )+})*
        $(settings {$(
            $(#[doc = $setting_doc:literal])+
            $setting:ident: $setting_type:ty = $setting_default:expr,
        )+})?
        $(schedule {$(
            $(#[doc = $schedule_doc:literal])+
            $schedule:ident: $schedule_type:ty = $schedule_default:expr,
        )+})?
        $(internal {$(
            $(#[doc = $internal_doc:literal])+
            $internal:ident: $internal_type:ty,
        )+})?
        $(check $check:expr;)?
        $(text $text:expr;)?
        $(warn $warn:expr;)?
        $(continues $continues:expr;)?
        reads {$(
            $read:ident $(.$read_method:ident($($read_argument:expr),*))*,
        )*}
        writes {$(
            $write:ident $(.$write_method:ident($($write_argument:expr),*))*,
        )*}
        $(pictures $pictures:expr;)?
        cost $cost:expr;
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug)]
        pub struct $stage;

        #[doc = concat!("The values of `", $name, "`'s flags.")]
        #[derive(Clone, Debug, PartialEq)]
        pub struct Parameters {
            $($($(#[doc = $derived_doc])+ pub $derived: $derived_type,)+)?
            $($($(#[doc = $parameter_doc])+ pub $parameter: $parameter_type,)+)*
            $($($(#[doc = $setting_doc])+ pub $setting: $setting_type,)+)?
            $(
                /// Where tensors are computed.
                pub $device: $crate::Device,
            )?
            $($($(#[doc = $internal_doc])+ pub $internal: $internal_type,)+)?
        }

        #[doc = concat!("What the driver derives for `", $name, "` from the rest of the study.")]
        #[derive(Clone, Debug, Default, PartialEq, $crate::dependencies::serde::Deserialize)]
        #[serde(crate = "declarations::dependencies::serde", deny_unknown_fields, default)]
        pub struct Derived {
            $($($(#[doc = $derived_doc])+ pub $derived: $derived_type,)+)?
        }

        #[doc = concat!("The section `", $name, "` of `pipeline.yaml`.")]
        #[derive(Clone, Debug, PartialEq, $crate::dependencies::serde::Deserialize)]
        #[serde(crate = "declarations::dependencies::serde", deny_unknown_fields, default)]
        pub struct Section {
            $($($(#[doc = $parameter_doc])+ pub $parameter: $parameter_type,)+)*
            $($($(#[doc = $setting_doc])+ pub $setting: $setting_type,)+)?
            $(
                /// Where tensors are computed.
                pub $device: $crate::Device,
            )?
            $($($(#[doc = $schedule_doc])+ pub $schedule: $schedule_type,)+)?
        }

        impl Default for Section {
            fn default() -> Self {
                Self {
                    $($($parameter: $default,)+)*
                    $($($setting: $setting_default,)+)?
                    $($device: $crate::Device::Cpu,)?
                    $($($schedule: $schedule_default,)+)?
                }
            }
        }

        #[doc = concat!("Changes of the section `", $name, "`, by a profile, a dataset, a run or `--set`.")]
        #[derive(Clone, Debug, Default, PartialEq, $crate::dependencies::serde::Deserialize)]
        #[serde(crate = "declarations::dependencies::serde", deny_unknown_fields, default)]
        pub struct Changes {
            $($(
                $(#[doc = $parameter_doc])+
                #[serde(deserialize_with = "declarations::given")]
                pub $parameter: Option<$parameter_type>,
            )+)*
            $($(
                $(#[doc = $setting_doc])+
                #[serde(deserialize_with = "declarations::given")]
                pub $setting: Option<$setting_type>,
            )+)?
            $(
                /// Where tensors are computed.
                #[serde(deserialize_with = "declarations::given")]
                pub $device: Option<$crate::Device>,
            )?
            $($(
                $(#[doc = $schedule_doc])+
                #[serde(deserialize_with = "declarations::given")]
                pub $schedule: Option<$schedule_type>,
            )+)?
        }

        impl Section {
            /// Makes the changes.
            pub fn change(&mut self, changes: &Changes) {
                let _ = changes;
                $($(if let Some(value) = &changes.$parameter { self.$parameter = value.clone(); })+)*
                $($(if let Some(value) = &changes.$setting { self.$setting = value.clone(); })+)?
                $(if let Some(device) = changes.$device { self.$device = device; })?
                $($(if let Some(value) = &changes.$schedule { self.$schedule = value.clone(); })+)?
            }
        }

        $(impl $crate::Reads<$crate::dependencies::schemas::tables::$read> for $stage {})*
        $(impl $crate::Writes<$crate::dependencies::schemas::tables::$write> for $stage {})*

        impl $crate::Stage for $stage {
            const NAME: &'static str = $name;
            const VERSION: u32 = $version;
            const PER: $crate::Per = $crate::Per::$per;
            const ABOUT: &'static str = concat!($($about, "\n"),+);
            const EXAMPLE: &'static str = $example;

            type Parameters = Parameters;
            type Section = Section;
            type Derived = Derived;

            fn parameters(section: &Section, derived: Derived) -> Parameters {
                let _ = (section, &derived);
                Parameters {
                    $($($derived: derived.$derived,)+)?
                    $($($parameter: section.$parameter.clone(),)+)*
                    $($($setting: section.$setting.clone(),)+)?
                    $($device: section.$device,)?
                    $($($internal: Default::default(),)+)?
                }
            }

            fn validate(parameters: &Parameters) -> Result<(), $crate::Invalid> {
                let _ = parameters;
                $(parameters.$device.check_built().map_err(|message| $crate::Invalid::new(stringify!($device), message))?;)?
                $($($(
                    $crate::check_range(&parameters.$parameter, &($range))
                        .map_err(|message| $crate::Invalid::new(stringify!($parameter), message))?;
                )?)+)*
                $({
                    let check: fn(&Parameters) -> Result<(), $crate::Invalid> = $check;
                    check(parameters)?;
                })?
                Ok(())
            }

            fn flags(parameters: &Parameters) -> Vec<$crate::Flag> {
                let _ = parameters;
                let mut flags = Vec::new();
                $($($crate::flag(&mut flags, stringify!($derived), &parameters.$derived, true);)+)?
                $($($crate::flag(&mut flags, stringify!($parameter), &parameters.$parameter, true);)+)*
                $($($crate::flag(&mut flags, stringify!($setting), &parameters.$setting, false);)+)?
                $($crate::flag(&mut flags, stringify!($device), &parameters.$device, false);)?
                $($($crate::flag(&mut flags, stringify!($internal), &parameters.$internal, false);)+)?
                flags
            }

            fn config(parameters: &Parameters) -> $crate::dependencies::serde_json::Map<String, $crate::dependencies::serde_json::Value> {
                let _ = parameters;
                let mut config = $crate::dependencies::serde_json::Map::new();
                $($($crate::Value::record(&parameters.$derived, stringify!($derived), &mut config);)+)?
                $($($crate::Value::record(&parameters.$parameter, stringify!($parameter), &mut config);)+)*
                config
            }

            fn arguments() -> Vec<$crate::dependencies::clap::Arg> {
                vec![
                    $($($crate::Argument::<$derived_type>::new(stringify!($derived), concat!($($derived_doc, "\n"),+)).argument(),)+)?
                    $($(
                        $crate::Argument::<$parameter_type>::new(stringify!($parameter), concat!($($parameter_doc, "\n"),+))
                            .under($heading)
                            $(.within(|value| $crate::check_range(value, &($range))))?
                            .or($default),
                    )+)*
                    $($(
                        $crate::Argument::<$setting_type>::new(stringify!($setting), concat!($($setting_doc, "\n"),+))
                            .under("How")
                            .or($setting_default),
                    )+)?
                    $($crate::Argument::new(stringify!($device), "Where tensors are computed").under("How").or($crate::Device::Cpu),)?
                    $($(
                        $crate::Argument::<$internal_type>::new(stringify!($internal), concat!($($internal_doc, "\n"),+))
                            .under("How")
                            .argument(),
                    )+)?
                ]
            }

            fn from_matches(matches: &$crate::dependencies::clap::ArgMatches) -> Parameters {
                let _ = matches;
                Parameters {
                    $($($derived: $crate::parsed(matches, stringify!($derived)).unwrap_or_default(),)+)?
                    $($($parameter: $crate::parsed(matches, stringify!($parameter)).unwrap_or_else(|| $default),)+)*
                    $($($setting: $crate::parsed(matches, stringify!($setting)).unwrap_or_else(|| $setting_default),)+)?
                    $($device: $crate::parsed(matches, stringify!($device)).unwrap_or($crate::Device::Cpu),)?
                    $($($internal: $crate::parsed(matches, stringify!($internal)).unwrap_or_default(),)+)?
                }
            }

            fn study(parameters: &Parameters) -> Option<&$crate::Study> {
                let _ = parameters;
                $crate::stage!(@study $per parameters)
            }

            fn reads() -> Vec<$crate::Usage<Parameters>> {
                vec![$($crate::Usage::of::<$crate::dependencies::schemas::tables::$read>()$(.$read_method($($read_argument),*))*),*]
            }

            fn writes() -> Vec<$crate::Usage<Parameters>> {
                vec![$($crate::Usage::of::<$crate::dependencies::schemas::tables::$write>()$(.$write_method($($write_argument),*))*),*]
            }

            $(fn check_text(parameters: &Parameters, text: &$crate::TextFacts) -> Result<(), $crate::Invalid> {
                let check: fn(&Parameters, &$crate::TextFacts) -> Result<(), $crate::Invalid> = $text;
                check(parameters, text)
            })?

            $(fn warnings(parameters: &Parameters, facts: &$crate::Facts<'_>) -> Vec<$crate::Invalid> {
                let warn: fn(&Parameters, &$crate::Facts<'_>) -> Vec<$crate::Invalid> = $warn;
                warn(parameters, facts)
            })?

            $(fn continues(
                parameters: &Parameters,
                earlier: &$crate::dependencies::serde_json::Map<String, $crate::dependencies::serde_json::Value>,
            ) -> bool {
                let continues: fn(
                    &Parameters,
                    &$crate::dependencies::serde_json::Map<String, $crate::dependencies::serde_json::Value>,
                ) -> bool = $continues;
                continues(parameters, earlier)
            })?

            $(fn pictures(parameters: &Parameters) -> $crate::Pictures {
                let pictures: fn(&Parameters) -> $crate::Pictures = $pictures;
                pictures(parameters)
            })?

            fn cost(parameters: &Parameters, training: Option<&$crate::TrainingSections>) -> $crate::Cost {
                let cost: fn(&Parameters, Option<&$crate::TrainingSections>) -> $crate::Cost = $cost;
                cost(parameters, training)
            }
        }
    };
    (@study Study $parameters:ident) => { Some(&$parameters.study) };
    (@study $per:ident $parameters:ident) => { None };
}
