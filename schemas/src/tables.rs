//! The tables. A row type's doc says what a row is, its fields' docs what the columns hold; both are also in the footer of every
//! file. A measured column also says how it reads ([`crate::Quantity`]). Layers, heads and positions count from 0. A step is one
//! optimizer update; step 0 is the untrained model.

use crate::enums::{
    Activity, ContextPolicy, Event, Moment, Scope, Split, Status, TextNote, TextSource, Verdict, WindowKind,
};
use crate::table::tables;

tables! {
    /// One character of a split, in the order of the text.
    "corpus" version 1 by "prep" keyed [Dataset, Split]
    struct Corpus {
        /// The character's token in `vocabulary`.
        token: u16 = "1",
    }

    /// One token of a dataset's vocabulary, sorted by code point.
    "vocabulary" version 2 by "prep" keyed [Dataset]
    struct Vocabulary {
        /// The token's number, counted from 0.
        token: u16 = "1",
        /// The token's character; a byte that is none is written as `\xc3`.
        symbol: String = "text",
        /// The token's bytes: the UTF-8 of its character, or the one byte where the dataset is read as bytes. A text is the bytes of its tokens.
        bytes: Vec<u8> = "bytes",
        /// Its character's Unicode code point, or its byte's value where the dataset is read as bytes; null of a longer token.
        code_point: Option<u32> = "1",
        /// How often it occurs in the train split.
        train_count: u64 = "characters",
    }

    /// One note on a dataset's text: a property of it that will matter.
    "text_notes" version 1 by "prep" keyed [Dataset]
    struct TextNotes {
        /// What it is about.
        note: TextNote = "text",
        /// How many: marks, carriage returns, documents, symbols, words or segments.
        count: u64 = "1",
        /// Their share of the symbols, of the positions of a split, of the words or of the segments; null where there is none.
        share: Option<f64> = "1",
        /// The note in words, with what to do.
        message: String = "text",
    }

    /// One word of the latent semantic space that `coherence` is measured in.
    "semantic_space" version 1 by "prep" keyed [Dataset]
    struct SemanticSpace {
        /// The word, lower-cased.
        word: String = "text",
        /// Its inverse document frequency, 1 + ln((1 + segments) / (1 + segments with the word)).
        idf: f64 = "1",
        /// The word's coordinates on the leading right singular vectors, at most 64.
        loadings: Vec<f64> = "1",
    }

    /// One logged training step.
    "training_log" version 1 by "train or import" keyed [Dataset, Run, Seed]
    struct TrainingLog {
        /// Steps done before this one.
        step: u32 = "steps",
        /// Cross-entropy of the batch, before the update.
        loss: f64 = "nats per character",
        /// The learning rate of the step.
        learning_rate: f64 = "1",
        /// The gradient's global L2 norm, before clipping.
        grad_norm: f64 = "1",
    }

    /// One evaluation of both splits, each on `eval_iters` × `batch_size` random windows of it, drawn anew at every step.
    "evaluations" version 1 by "train or import" keyed [Dataset, Run, Seed]
    struct Evaluations {
        /// Steps (optimizer updates) done.
        step: u32 = "steps",
        /// Mean cross-entropy over the train split's evaluation batches.
        train_loss: f64 = "nats per character",
            measure "training loss" higher "worse prediction of training text",
        /// Mean cross-entropy over the validation split's evaluation batches.
        val_loss: f64 = "nats per character",
            measure "validation loss" higher "worse prediction of unseen text",
        /// Standard error of `train_loss` over evaluation batches.
        train_loss_stderr: f64 = "nats per character",
        /// Standard error of `val_loss` over evaluation batches: how much of it is the choice of windows.
        val_loss_stderr: f64 = "nats per character",
        /// `val_loss` in bits.
        val_bits_per_char: f64 = "bits per character",
            measure "validation bits per character" higher "worse prediction of unseen text",
        /// The learning rate of the next step.
        learning_rate: f64 = "1",
    }

    /// The loss over one whole split: of every character but its first, each predicted once, with as much context as its window has.
    "split_losses" version 1 by "evaluate" keyed [Dataset, Run, Seed]
    struct SplitLosses {
        /// Steps (optimizer updates) done.
        step: u32 = "steps",
        /// The split: `val` or `test` (`train` has no row).
        split: Split = "text",
        /// Length of the windows: the model's block size, or what there is of the split.
        window: u32 = "characters",
        /// Characters by which one window starts after another. From the second window on, a character is predicted from at least `window` − `stride` + 1 before it.
        stride: u32 = "characters",
        /// Characters predicted: those of the split but the first.
        tokens: u64 = "characters",
        /// Their UTF-8 bytes, or themselves where the dataset is read as bytes.
        bytes: u64 = "bytes",
        /// Mean cross-entropy over them.
        loss_nats: f64 = "nats per character",
        /// That in bits: what is compared between models of texts that are read alike.
        bits_per_symbol: f64 = "bits per character",
        /// All bits over all bytes: what is compared where texts are read in different ways.
        bits_per_byte: f64 = "bits per byte",
    }

    /// One timed activity of a stage.
    "timings" version 1 by "train, import or generate" keyed [Dataset, Run, Seed, Stage]
    struct Timings {
        /// What was done: `steps` (training steps since the previous row), `evaluation`, `checkpoint`, `tracking`, `generation`.
        activity: Activity = "text",
        /// Steps done when the activity ended.
        step: u32 = "steps",
        /// The generated sample; null in training.
        sample: Option<u16> = "1",
        /// Wall-clock time.
        wall_secs: f64 = "seconds",
        /// Characters processed or generated.
        characters: u64 = "characters",
    }

    /// One head's attention in the forward pass of a training step, over every query but the first of all micro-batches.
    "tracking" version 1 by "train or import" keyed [Dataset, Run, Seed]
    struct Tracking {
        /// Steps done before this one.
        step: u32 = "steps",
        /// The layer.
        layer: u16 = "1",
        /// The head in its layer.
        head: u16 = "1",
        /// Mean entropy of the attention rows.
        entropy_nats: f64 = "nats",
            measure "entropy" higher "more diffuse attention" uniform Baselines,
        /// Mean of entropy over its maximum, ln(keys).
        normalized_entropy: f64 = "1",
            measure "normalized entropy" higher "more diffuse attention" uniform Baselines,
        /// Mean distance of the attended characters.
        mean_distance: f64 = "characters",
            measure "mean attention distance" higher "attention further back" uniform Baselines,
        /// Mean attention to the window's first character.
        first_token_mass: f64 = "1",
            measure "attention to the first token (sink)" higher "a stronger attention sink" uniform Baselines,
    }

    /// One tensor of a model, named and shaped as in nanoGPT's state_dict.
    "checkpoints" version 1 by "train or import" keyed [Dataset, Run, Seed, Step]
    struct Checkpoints {
        /// The parameter's name.
        tensor: String = "text",
        /// Its shape.
        shape: Vec<u32> = "1",
        /// Its values, row-major.
        values: Vec<f32> = "1",
    }

    /// One moment of one tensor: the state of AdamW that resuming needs in addition to the newest checkpoint.
    "optimizer" version 1 by "train" keyed [Dataset, Run, Seed]
    struct Optimizer {
        /// Steps (optimizer updates) done.
        step: u32 = "steps",
        /// The parameter's name.
        tensor: String = "text",
        /// `first` or `second`.
        moment: Moment = "text",
        /// Its shape.
        shape: Vec<u32> = "1",
        /// Its values, row-major.
        values: Vec<f32> = "1",
    }

    /// One attention row: one query of one head in one probe window. A row group is one window.
    "attention" version 1 by "snapshot" keyed [Dataset, Run, Seed, Step]
    struct Attention {
        /// The probe window, as in `windows`.
        window: u16 = "1",
        /// The layer.
        layer: u16 = "1",
        /// The head in its layer.
        head: u16 = "1",
        /// The position that attends.
        query: u16 = "1",
        /// Post-softmax attention to the keys 0 to `query`, without dropout; sums to 1 within 1e-5.
        weights: Vec<f32> = "1",
    }

    /// One probe window: the same at every step, run and seed of a dataset and block size.
    "windows" version 1 by "snapshot" keyed [Dataset, Run, Seed]
    struct Windows {
        /// The window's number.
        window: u16 = "1",
        /// `val`: text of the validation split; `repeat`: a random block twice.
        kind: WindowKind = "text",
        /// Where it starts in its split; 0 for `repeat`.
        start: u32 = "characters",
        /// Its characters as tokens of `vocabulary`.
        tokens: Vec<u16> = "1",
        /// Its text; of what is no valid UTF-8, as half a character at an end, U+FFFD.
        text: String = "text",
    }

    /// What one head adds to the residual stream at one step.
    "head_outputs" version 1 by "snapshot" keyed [Dataset, Run, Seed]
    struct HeadOutputs {
        /// Steps (optimizer updates) done.
        step: u32 = "steps",
        /// The layer.
        layer: u16 = "1",
        /// The head in its layer.
        head: u16 = "1",
        /// Mean L2 norm of the head's output after its slice of the output projection, over the queries of the `val` windows but the first.
        output_norm: f64 = "1",
            measure "output norm of heads" higher "heads that add more to the residual stream",
    }

    /// One head at one step, over the `val` windows.
    "head_metrics" version 2 by "metrics" keyed [Dataset, Run, Seed]
    struct HeadMetrics {
        /// Steps (optimizer updates) done.
        step: u32 = "steps",
        /// The layer.
        layer: u16 = "1",
        /// The head in its layer.
        head: u16 = "1",
        /// Mean entropy of the attention rows.
        entropy_nats: f64 = "nats",
            measure "entropy" higher "more diffuse attention" uniform Baselines stderr entropy_nats_stderr,
        /// Mean of entropy over its maximum, ln(keys).
        normalized_entropy: f64 = "1",
            measure "normalized entropy" higher "more diffuse attention" uniform Baselines
                stderr normalized_entropy_stderr,
        /// Mean distance of the attended characters; high also where a head rests on the first one, see `first_token_mass`.
        mean_distance: f64 = "characters",
            measure "mean attention distance" higher "attention further back" uniform Baselines
                stderr mean_distance_stderr,
        /// Mean distance within which 90 % of the attention lies.
        span_90: f64 = "characters",
            measure "90 % span" higher "attention further back" uniform Baselines stderr span_90_stderr,
        /// Mean attention to the last three characters, the current one included.
        local_mass_3: f64 = "1",
            measure "attention to the last 3 characters" higher "more local attention" uniform Baselines
                stderr local_mass_3_stderr,
        /// Mean attention to the window's first character.
        first_token_mass: f64 = "1",
            measure "attention to the first token (sink)" higher "a stronger attention sink" uniform Baselines
                stderr first_token_mass_stderr,
        /// Mean attention to the current character.
        self_mass: f64 = "1",
            measure "attention to the current token" higher "less attention to earlier tokens" uniform Baselines
                stderr self_mass_stderr,
        /// Mean attention to the previous character.
        previous_token_score: f64 = "1",
            measure "previous-token score" higher "closer to a previous-token head" uniform Baselines
                stderr previous_token_score_stderr,
        /// Mean attention to earlier occurrences of the current character.
        duplicate_token_score: f64 = "1",
            measure "duplicate-token score" higher "closer to a duplicate-token head"
                stderr duplicate_token_score_stderr,
        /// Mean attention, in the second copy of a repeated block, to the character after the current one's first copy; null if the block is one character. The block has half a window of different characters, fewer if the vocabulary has fewer: then it does not compare with that of other texts.
        induction_score: Option<f64> = "1",
            measure "induction score" higher "closer to an induction head" uniform Baselines
                stderr induction_score_stderr,
        /// Attention rows averaged.
        queries: u64 = "rows",
    }

    /// One layer at one step, over the `val` windows.
    "layer_metrics" version 2 by "metrics" keyed [Dataset, Run, Seed]
    struct LayerMetrics {
        /// Steps (optimizer updates) done.
        step: u32 = "steps",
        /// The layer.
        layer: u16 = "1",
        /// Mean over queries of the variance over heads, summed over keys.
        head_variance: f64 = "1",
            measure "variance between heads" higher "heads that attend more differently" uniform Value(0.0)
                stderr head_variance_stderr,
        /// Mean generalised Jensen-Shannon divergence of the heads.
        head_js_divergence: f64 = "bits",
            measure "JS divergence of heads" higher "heads that attend more differently" uniform Value(0.0)
                stderr head_js_divergence_stderr,
        /// The largest head's share of the layer's output norms.
        dominant_head_share: f64 = "1",
            measure "largest head's share of output norms" higher "a layer dominated by one head",
    }

    /// One pair of layers at one step, each layer being the mean of its heads, over the `val` windows.
    "layer_similarity" version 2 by "metrics" keyed [Dataset, Run, Seed]
    struct LayerSimilarity {
        /// Steps (optimizer updates) done.
        step: u32 = "steps",
        /// The lower layer.
        layer_a: u16 = "1",
        /// The upper layer.
        layer_b: u16 = "1",
        /// Mean Jensen-Shannon divergence of the two layers' attention rows.
        js_divergence: f64 = "bits",
            measure "JS divergence of layers" higher "layers that attend more differently" uniform Value(0.0)
                stderr js_divergence_stderr,
        /// 1 − `js_divergence`.
        js_similarity: f64 = "1",
            measure "JS similarity of layers" higher "layers that attend more alike" uniform Value(1.0)
                stderr js_similarity_stderr,
        /// Mean over windows of the cosine of the two layers' attention.
        cosine_similarity: f64 = "1",
            measure "cosine similarity of layers" higher "layers that attend more alike" uniform Value(1.0)
                stderr cosine_similarity_stderr,
        /// The same after subtracting uniform causal attention from both.
        centered_cosine_similarity: f64 = "1",
            measure "centered cosine similarity of layers" higher "layers that attend more alike" uniform Value(0.0)
                stderr centered_cosine_similarity_stderr,
    }

    /// One metric of `head_metrics` under uniform causal attention.
    "baselines" version 1 by "metrics" keyed [Dataset, Run, Seed]
    struct Baselines {
        /// The column of `head_metrics`.
        metric: String = "text",
        /// What uniform causal attention gives, in the column's unit.
        value: f64 = "as the metric",
    }

    /// One token of the probe windows and one head at one step: how much of the head's attention the token's occurrences receive.
    "attended_characters" version 1 by "metrics" keyed [Dataset, Run, Seed]
    struct AttendedCharacters {
        /// Steps (optimizer updates) done.
        step: u32 = "steps",
        /// The layer.
        layer: u16 = "1",
        /// The head in its layer.
        head: u16 = "1",
        /// The attended token, as in `vocabulary`; every token that occurs in the `val` windows has a row.
        token: u16 = "1",
        /// Mean over the queries but the first of the attention to all occurrences of the token; a head's shares sum to 1.
        share: f64 = "1",
        /// The same under uniform causal attention: how common the token is among the keys.
        uniform_share: f64 = "1",
    }

    /// One generated sample.
    "samples" version 2 by "generate" keyed [Dataset, Run, Seed]
    struct Samples {
        /// Steps of the generating model.
        step: u32 = "steps",
        /// The sample's number.
        sample: u16 = "1",
        /// The text that the model was given, of which it sees at most the last block.
        prompt: String = "text",
        /// That text as tokens of `vocabulary`.
        prompt_tokens: Vec<u16> = "1",
        /// The text that the model generated, without the prompt; of what is no valid UTF-8, U+FFFD.
        text: String = "text",
        /// That text as tokens of `vocabulary`.
        tokens: Vec<u16> = "1",
        /// The sampling temperature.
        temperature: f64 = "1",
        /// The number of most likely tokens sampled from.
        top_k: u32 = "1",
        /// What the model attends to past its block size: `exact` or `rollover`.
        context_policy: ContextPolicy = "text",
    }

    /// One head over one text, over the rows that predicted the text's characters.
    "sample_attention" version 1 by "generate" keyed [Dataset, Run, Seed]
    struct SampleAttention {
        /// Steps of the model.
        step: u32 = "steps",
        /// `model`: during generation; `validation`: on real text, with the same prompt length and policy.
        source: TextSource = "text",
        /// The text's number within its source.
        sample: u16 = "1",
        /// The layer.
        layer: u16 = "1",
        /// The head in its layer.
        head: u16 = "1",
        /// Mean entropy of the attention rows.
        entropy_nats: f64 = "nats",
            measure "entropy" higher "more diffuse attention",
        /// Mean of entropy over its maximum, ln(keys).
        normalized_entropy: f64 = "1",
            measure "normalized entropy" higher "more diffuse attention",
        /// Mean distance of the attended characters.
        mean_distance: f64 = "characters",
            measure "mean attention distance" higher "attention further back",
        /// Mean attention to the context's first character.
        first_token_mass: f64 = "1",
            measure "attention to the first token (sink)" higher "a stronger attention sink",
        /// Mean L2 norm of what the head adds to the residual stream.
        output_norm: f64 = "1",
            measure "output norm of heads" higher "heads that add more to the residual stream",
    }

    /// One head's attention when one token of a sample was generated.
    "generated_attention" version 1 by "generate" keyed [Dataset, Run, Seed]
    struct GeneratedAttention {
        /// Steps of the generating model.
        step: u32 = "steps",
        /// The sample's number.
        sample: u16 = "1",
        /// The generated token's number in the sample, from 0 on, as in `samples.tokens`.
        position: u32 = "1",
        /// The layer.
        layer: u16 = "1",
        /// The head in its layer.
        head: u16 = "1",
        /// Post-softmax attention of the preceding token to its context: the last tokens of the prompt and the sample before the generated one, oldest first; sums to 1 within 1e-5.
        weights: Vec<f32> = "1",
    }

    /// One pair of adjacent layers over one generated sample.
    "sample_layers" version 1 by "generate" keyed [Dataset, Run, Seed]
    struct SampleLayers {
        /// Steps of the generating model.
        step: u32 = "steps",
        /// The sample's number.
        sample: u16 = "1",
        /// The lower layer.
        layer_a: u16 = "1",
        /// The upper layer.
        layer_b: u16 = "1",
        /// Mean Jensen-Shannon divergence of the two layers' attention rows.
        js_divergence: f64 = "bits",
            measure "JS divergence of layers" higher "layers that attend more differently" uniform Value(0.0),
    }

    /// One scored text.
    "sample_scores" version 1 by "generate" keyed [Dataset, Run, Seed]
    struct SampleScores {
        /// Steps of the generating model; null for the references.
        step: Option<u32> = "steps",
        /// `model`; `validation`: real text of the same length; `shuffled`: that text with its characters permuted; `trigram`: a character trigram model.
        source: TextSource = "text",
        /// The text's number within its source.
        sample: u16 = "1",
        /// Distinct characters over characters.
        distinct_1: Option<f64> = "1",
            measure "distinct-1" higher "more diverse text",
        /// Distinct 2-grams over 2-grams.
        distinct_2: Option<f64> = "1",
            measure "distinct-2" higher "more diverse text",
        /// Distinct 3-grams over 3-grams.
        distinct_3: Option<f64> = "1",
            measure "distinct-3" higher "more diverse text",
        /// Distinct 4-grams over 4-grams.
        distinct_4: Option<f64> = "1",
            measure "distinct-4" higher "more diverse text",
        /// Distinct 8-grams over 8-grams.
        distinct_8: Option<f64> = "1",
            measure "distinct-8" higher "more diverse text",
        /// Share of 4-gram occurrences whose 4-gram occurs more than once.
        repetition_4: Option<f64> = "1",
            measure "repeated 4-grams" higher "more repetitive text",
        /// Share of 8-gram occurrences whose 8-gram occurs more than once.
        repetition_8: Option<f64> = "1",
            measure "repeated 8-grams" higher "more repetitive text",
        /// Share of 16-gram occurrences whose 16-gram occurs more than once.
        repetition_16: Option<f64> = "1",
            measure "repeated 16-grams" higher "more repetitive text",
        /// Mean cosine of adjacent 100-character segments in the dataset's latent semantic space.
        coherence: Option<f64> = "1",
            measure "coherence" higher "adjacent segments closer in meaning",
        /// Bytes of the text's tokens over bytes after zlib, level 9.
        compression_ratio: Option<f64> = "1",
            measure "compression ratio" higher "more repetitive text",
        /// Share of 16-grams that do not occur in the train split.
        novelty_16: Option<f64> = "1",
            measure "novel 16-grams" higher "less text copied from the training split",
        /// Share of words that occur in the train split.
        word_validity: Option<f64> = "1",
            measure "valid words" higher "fewer misspelt words",
        /// Minus the mean distance to real text's scores, in their standard deviations.
        quality: Option<f64> = "standard deviations",
            measure "quality" higher "text closer to real text",
    }

    /// One correlation of a measure of attention with the validation loss or a score of generated text.
    "correlations" version 1 by "correlate" keyed [Dataset, Run]
    struct Correlations {
        /// `training`: over steps and seeds; `generation`: over the final checkpoint's samples.
        scope: Scope = "text",
        /// The measure of attention.
        x: String = "text",
        /// The layer of `x`; null for the mean over all layers.
        layer: Option<u16> = "1",
        /// The validation loss or the score.
        y: String = "text",
        /// Observations.
        n: u32 = "observations",
        /// Seeds, the replicates.
        seeds: u32 = "seeds",
        /// Mean over seeds of Pearson's correlation; confounded by step in the training scope.
        pearson: Option<f64> = "1",
        /// Mean over seeds of Spearman's correlation; confounded by step in the training scope.
        spearman: Option<f64> = "1",
        /// Lower end of the 95 % interval of `spearman` over seeds; null with one seed.
        spearman_low: Option<f64> = "1",
        /// Upper end of that interval.
        spearman_high: Option<f64> = "1",
        /// Partial Spearman correlation: of the deviations, at each step, from the mean over seeds; null in the generation scope.
        partial_spearman: Option<f64> = "1",
        /// Permutation p-value.
        p_value: Option<f64> = "1",
        /// Benjamini-Hochberg adjusted p-value over the rows of this file that have one.
        q_value: Option<f64> = "1",
        /// Why something is null.
        reason: Option<String> = "text",
    }

    /// One event of training: the onset of a kind of head or of specialised layers, or the change point of a metric.
    "onsets" version 1 by "correlate" keyed [Dataset, Run]
    struct Onsets {
        /// An onset: half of the rise of the best head's score, `previous_token_head`, `induction_head` or `attention_sink`, or of the layers' divergence, `layer_specialisation`; or `change_point`: the level of `metric` changes.
        event: Event = "text",
        /// The metric of the event: a column of `head_metrics`, `layer_metrics` or `layer_similarity`, or `val_loss`.
        metric: String = "text",
        /// The layer; null for all of them.
        layer: Option<u16> = "1",
        /// The first snapshot at which the criterion holds: the geometric mean over the seeds that have the event.
        value: Option<f64> = "steps",
        /// Lower end of the 95 % interval of `value` over seeds, computed on the logarithms; null with one seed.
        low: Option<f64> = "steps",
        /// Upper end of that interval.
        high: Option<f64> = "steps",
        /// Seeds that have the event.
        n: u32 = "seeds",
        /// All seeds.
        seeds: u32 = "seeds",
        /// The seeds that have the event, in the study's order.
        in_seeds: Vec<u64> = "1",
        /// The first snapshot at which the criterion holds, in each of those seeds.
        steps: Vec<u32> = "steps",
        /// The snapshot before that one in each of those seeds: the event lies between the two.
        steps_before: Vec<u32> = "steps",
        /// The metric's change, of an onset from its baseline to its maximum, of a change point from one level to the other: the mean over those seeds, over all seeds if none has the event.
        change: Option<f64> = "as the metric",
        /// The share of the metric's variance over training that two levels explain, 1 for a jump and 0.75 for a straight ramp: the mean over the same seeds as `change`; null for an onset.
        explained: Option<f64> = "1",
        /// Rank in time among the events of the same `layer`, the first being 1; events at the same time share a rank.
        rank: Option<u32> = "1",
        /// Why something is null, or which seeds are left out.
        reason: Option<String> = "text",
    }

    /// One head of one training and the head of the first seed's training that it is matched with: heads are exchangeable in their layer.
    "head_matches" version 2 by "correlate" keyed [Dataset, Run]
    struct HeadMatches {
        /// The seed of the training.
        seed: u64 = "1",
        /// The layer.
        layer: u16 = "1",
        /// The head in its layer.
        head: u16 = "1",
        /// The head of the first seed that it is matched with; its own number in the first seed.
        slot: u16 = "1",
        /// Matched distance: root mean square difference from that head over metrics and snapshots, in standard deviations between heads; null in the first seed.
        distance: Option<f64> = "standard deviations",
        /// The mean distance to all heads of that layer of the first seed: what pairing at random would give; null in the first seed.
        random_distance: Option<f64> = "standard deviations",
        /// The mean of `distance` over the layer where its heads, of all seeds, are dealt to the seeds at random: what matching gives by chance; null in the first seed.
        chance_distance: Option<f64> = "standard deviations",
        /// Permutation p-value of the layer's mean `distance` against `chance_distance`: small where heads have counterparts in other seeds; null in the first seed.
        p_value: Option<f64> = "1",
    }

    /// One claim of the study, tested.
    "findings" version 3 by "correlate" keyed [Dataset]
    struct Findings {
        /// The run whose artifacts were tested.
        run: String = "text",
        /// The claim's short name.
        claim: String = "text",
        /// The claim in words.
        statement: String = "text",
        /// What was computed.
        statistic: String = "text",
        /// Its value: the mean over seeds.
        value: Option<f64> = "as the statistic",
        /// Lower end of its 95 % interval over seeds, not corrected for the number of claims; null with one seed.
        low: Option<f64> = "as the statistic",
        /// Upper end of that interval.
        high: Option<f64> = "as the statistic",
        /// Lower end of the 95 % interval of a bootstrap over seeds and, within them, samples; null if it is no statistic of samples.
        bootstrap_low: Option<f64> = "as the statistic",
        /// Upper end of that interval.
        bootstrap_high: Option<f64> = "as the statistic",
        /// The claim holds above this.
        threshold_low: Option<f64> = "as the statistic",
        /// The claim holds below this.
        threshold_high: Option<f64> = "as the statistic",
        /// Two-sided p-value of the null hypothesis that the statistic is at its threshold; null where the claim is exact or has no test.
        p_value: Option<f64> = "1",
        /// `p_value` after Holm's correction over the claims of this file that have one.
        p_adjusted: Option<f64> = "1",
        /// `supported` or `refuted`: exactly, or with `p_adjusted` of at most 0.05; `inconclusive`; `not_tested`.
        verdict: Verdict = "text",
        /// The evidence in words.
        reason: String = "text",
        /// The value that these seeds, with their standard deviation, would have decided with a probability of 0.8, by the power of a t-test; null without a standard deviation, and where these seeds can decide nothing.
        detectable: Option<f64> = "as the statistic",
        /// If inconclusive, the seeds that decide with a probability of 0.8 if the statistic is as here; null if over 100,000 or never.
        seeds_needed: Option<u32> = "seeds",
        /// What other thresholds would decide, where the study gives none and the threshold is ours.
        sensitivity: Option<String> = "text",
        /// Seeds, the replicates.
        n: u32 = "seeds",
    }

    /// One run on one dataset: the study's table of results. Standard errors are over seeds, null with one.
    "results" version 4 by "correlate" keyed []
    struct Results {
        /// The dataset.
        dataset: String = "text",
        /// The run.
        run: String = "text",
        /// The run's label.
        label: String = "text",
        /// The run whose training it is, timings included: another run if this one's training is a copy of a duplicate.
        training_of: String = "text",
        /// Seeds, the replicates.
        seeds: u32 = "seeds",
        /// Mean of the final training loss: of each seed the mean over the last tenth of the logged steps, at least one.
        final_train_loss_mean: f64 = "nats per character",
        /// Its standard error.
        final_train_loss_stderr: Option<f64> = "nats per character",
        /// Mean of the lowest validation loss, of random windows, over multiples of the evaluation interval and the last step.
        best_val_loss_mean: f64 = "nats per character",
        /// Its standard error.
        best_val_loss_stderr: Option<f64> = "nats per character",
        /// The step of that loss in each seed, in the study's order.
        best_val_loss_steps: Vec<u32> = "steps",
        /// Mean loss of the last checkpoint over the whole validation split, as in `split_losses`; null where it is not evaluated.
        split_val_loss_mean: Option<f64> = "nats per character",
        /// Its standard error.
        split_val_loss_stderr: Option<f64> = "nats per character",
        /// The same over the test split; null where it is empty.
        split_test_loss_mean: Option<f64> = "nats per character",
        /// Its standard error.
        split_test_loss_stderr: Option<f64> = "nats per character",
        /// Mean time of all activities of training.
        total_train_time_secs_mean: f64 = "seconds",
        /// Its standard error.
        total_train_time_secs_stderr: Option<f64> = "seconds",
        /// Mean speed of generation from the final checkpoint, untracked.
        inference_tokens_per_sec_mean: f64 = "characters per second",
        /// Its standard error.
        inference_tokens_per_sec_stderr: Option<f64> = "characters per second",
    }

    /// One execution of a job.
    "lineage" version 1 by "driver" keyed []
    struct Lineage {
        /// The job: stage, dataset, run and seed.
        node: String = "text",
        /// The stage.
        stage: String = "text",
        /// The command that ran.
        command: String = "text",
        /// Hash of what the content depends on: versions, parameters and the content of inputs.
        fingerprint: String = "text",
        /// `done`, `failed`, `linked` (the tables of another run that does the same) or `adopted` (tables from elsewhere that fit).
        status: Status = "text",
        /// Wall-clock time.
        wall_secs: f64 = "seconds",
        /// Peak resident set size; null if the platform does not report it.
        peak_rss_bytes: Option<u64> = "bytes",
        /// When it started, since the Unix epoch.
        started_at_secs: f64 = "seconds",
    }
}
