// The view "Text": generated samples and their scores, and how attention relates to them.
import { distinct } from "./colour.js";
import { keys, lineChart, scatterChart } from "./chart.js";
import { duringChart } from "./during.js";
import { choice, el, empty, isDark, table } from "./dom.js";
import { exporter } from "./export.js";
import { generatingView } from "./generating.js";
import { beside, stepper } from "./layers.js";
import { chunk, meanOf } from "./model.js";
import { integer, short } from "./number.js";
import { band } from "./story.js";
import { printable } from "./text.js";

const SOURCES = { validation: "real text", trigram: "trigram model", shuffled: "shuffled text" };
const unpackedQuality = new Map();

async function qualityOf(training) {
    const id = training.quality.chunk;
    if (!unpackedQuality.has(id)) {
        const rows = JSON.parse(new TextDecoder().decode(await chunk(id)));
        unpackedQuality.set(id, rows.map(([seed, step, sample, scores, layers, heads]) => ({ seed, step, sample, scores, layers, heads })));
    }
    return unpackedQuality.get(id);
}

export function mountTexts(root, app) {
    const { training, dataset } = app.at(), dark = isDark();
    if (!training || dataset.samples.texts.length === 0) return empty(root, app, "No sample was generated, or no run recorded attention, whose snapshots this view follows.");
    const { score: scores, sample: attention } = app.study.measures;
    const controls = el("div", { class: "controls" }), steps = stepper(app), host = el("div", { class: "samples" }), note = el("p", { class: "note" });
    const generatingHost = el("div"), below = el("div"), curveHost = el("div"), scatterHost = el("div"), plotControls = el("div", { class: "controls" }), plotNote = el("p", { class: "note" });
    const seedKeys = training.quality ? keys(training.seeds.map((seed, at) => [distinct(dark, at), `seed ${seed}`])) : "";
    let rows = [], charts = [], generating = null;
    const y = () => Math.max(0, scores.findIndex((one) => one.name === app.state.y));
    const sampleAt = (step) => dataset.samples.texts.find(([at, number]) => at === step && String(number) === app.state.sample) ?? dataset.samples.texts.find(([at]) => at === step);

    function drawText() {
        steps.show();
        const { step } = app.at(), here = training.steps[step], last = dataset.samples.texts.reduce((most, [at]) => Math.max(most, at), 0);
        const found = sampleAt(here) ?? sampleAt(last), numbers = dataset.samples.texts.filter(([at]) => at === found[0]).map(([, number]) => [String(number), String(number)]);
        controls.replaceChildren(...app.choices(), choice("Sample", numbers, String(found[1]), (value) => app.set({ sample: value })));
        const real = training.windows.filter((window) => window.kind === "val").map((window) => window.tokens.map((token) => dataset.vocabulary[token]).join("")).join("\n⋯\n");
        host.replaceChildren(
            el("article", { "data-step": found[0] }, el("h2", {}, `generated at step ${integer(found[0])}`), el("pre", { tabindex: "0" }, el("span", { class: "prompt", title: "prompt" }, printable(found[2])), printable(found[3]))),
            el("article", {}, el("h2", {}, "real text: the probe windows"), el("pre", { tabindex: "0" }, printable(real))));
        const setting = dataset.samples.setting;
        note.textContent = `Samples of seed ${dataset.seeds[0]}, temperature ${setting.temperature}, top-k ${setting.topK}.${found[0] === here ? "" : ` This run generated at step ${integer(found[0])}, not at step ${integer(here)}.`}`;
        drawGenerating(found);
        if (!training.quality) { below.replaceChildren(el("p", { class: "note" }, "No run scored its samples.")); return; }
        const mine = rows.find((row) => row.seed === 0 && row.step === found[0] && row.sample === found[1]);
        const during = mine?.layers, real2 = training.quality.validation;
        below.replaceChildren(
            table("Scores of this sample and of reference texts", ["score", "this sample", ...training.quality.references.map((one) => `${SOURCES[one.source]} (mean of ${one.texts})`), "a higher value means"], scores.map((score, at) => el("tr", { "data-score": score.name },
                el("th", { scope: "row" }, score.label), el("td", { class: "number" }, short(mine?.scores[at])), ...training.quality.references.map((one) => el("td", { class: "number" }, short(one.scores[at][0]))), el("td", {}, score.higher)))),
            mine?.heads ? duringChart(app, mine) : "",
            during ? table("Attention while generating this sample, mean over the heads of a layer", ["layer", ...attention.map((one) => app.study.label(one.name))], during.map((values, layer) => el("tr", {}, el("th", { scope: "row" }, String(layer)),
                ...values.map((value, at) => el("td", { class: "number" }, short(value), real2[layer]?.[at] !== null && real2[layer] ? el("span", { class: "muted" }, `real text: ${short(real2[layer][at])}`) : null))))) : "");
    }

    /** The sample's attention token by token, if it was kept; else where there is some. */
    function drawGenerating([step, sample]) {
        const kept = dataset.samples.generated, of = `${step}/${sample}`, json = kept.find((one) => one.step === step && one.sample === sample);
        if (generatingHost.dataset.of === of) { generating?.update(); return; }
        generating?.leave();
        generating = json ? generatingView(app, json) : null;
        generatingHost.dataset.of = of;
        const place = kept.at(-1), link = place && el("a", { href: app.link({ step: String(place.step), sample: String(place.sample), char: "" }) }, `sample ${place.sample} of step ${integer(place.step)}`);
        generatingHost.replaceChildren(generating?.root ?? (link ? el("p", { class: "note" }, `Attention ${dataset.unit} by ${dataset.unit} was kept for `, link, "; generate.kept_samples and generate.kept_steps keep more.") : ""));
    }

    function xOf(row) {
        const at = attention.findIndex((one) => one.name === app.state.x), layer = app.state.layer;
        return layer === "" ? meanOf(row.layers.map((values) => values[at]))[0] : row.layers[Number(layer)]?.[at] ?? null;
    }

    const plotted = () => rows.filter((row) => row.step === plottedStep()).map((row) => ({ row, x: xOf(row), y: row.scores[y()] })).filter((point) => point.x !== null && point.y !== null);
    function plottedStep() {
        const here = training.steps[app.at().step];
        return rows.some((row) => row.step === here) ? here : Math.max(...rows.map((row) => row.step));
    }

    function drawPlots() {
        if (!training.quality) return;
        const score = scores[y()], references = training.quality.references, wide = root.clientWidth > 800, width = Math.max(320, wide ? Math.floor(root.clientWidth / 2) - 16 : root.clientWidth);
        const generated = [...new Set(rows.map((row) => row.step))].sort((one, other) => one - other);
        const curve = generated.map((step) => [step, ...meanOf(training.seeds.map((_, seed) => meanOf(rows.filter((row) => row.seed === seed && row.step === step).map((row) => row.scores[y()]))[0]))]);
        const flat = references.filter((one) => one.scores[y()][0] !== null).map((one, at) => ({ points: [generated[0], generated.at(-1)].map((step) => [step, one.scores[y()][0]]), color: distinct(dark, at + 1), dash: "5 4", label: SOURCES[one.source] }));
        const lines = lineChart({ width, height: 320, title: `${score.label} of samples over training`, yLabel: app.study.label(score.name), log: dataset.logSpaced, cursor: training.steps[app.at().step], lines: [{ points: curve, band: band(curve), color: distinct(dark, 0), label: "samples" }, ...flat] });
        const points = plotted(), x = attention.find((one) => one.name === app.state.x) ?? attention[0];
        const layerText = app.state.layer === "" ? "all layers" : `layer ${app.state.layer}`;
        const scatter = scatterChart({ width, height: 320, title: `${score.label} against ${x.label} of samples`, xLabel: `${app.study.label(x.name)}, ${layerText}`, yLabel: app.study.label(score.name), points: points.map((point) => [point.x, point.y, distinct(dark, point.row.seed), `seed ${training.seeds[point.row.seed]}, sample ${point.row.sample}: ${short(point.x)}, ${short(point.y)}`]) });
        charts = [{ title: `${score.label} over training`, chart: lines }, { title: `step ${integer(plottedStep())}`, chart: scatter }];
        curveHost.replaceChildren(lines);
        scatterHost.replaceChildren(scatter);
        plotControls.replaceChildren(choice("Score", scores.map((one) => [one.name, one.label]), score.name, (value) => app.set({ y: value })), choice("Against", attention.map((one) => [one.name, one.label]), x.name, (value) => app.set({ x: value })),
            choice("Layer", [["", "all layers"], ...Array.from({ length: training.layers }, (_, layer) => [String(layer), `layer ${layer}`])], app.state.layer, (value) => app.set({ layer: value })));
        const tested = training.correlations.find(([scope, name, layer, of]) => scope === "generation" && name === x.name && of === score.name && (layer === null ? app.state.layer === "" : String(layer) === app.state.layer));
        plotNote.textContent = `${points.length} samples of step ${integer(plottedStep())}.` + (tested && tested[9] === null ? " At the last step there are too few samples to test this pair." : tested ? ` At the last step, within seeds: Spearman ${short(tested[5])}, p ${short(tested[9])}, q ${short(tested[10])} over all tests of the run.` : " This pair was not tested.");
    }

    root.replaceChildren(controls, steps.element, host, note, generatingHost, below, el("h2", {}, "Scores over training, and against attention while generating"), plotControls,
        exporter("both charts", () => `${app.state.y}_${dataset.name}`, () => beside(root, charts), () => [["dataset", "seed", "step", "sample", app.state.x, app.state.y], ...plotted().map((point) => [dataset.name, training.seeds[point.row.seed], point.row.step, point.row.sample, point.x, point.y])]),
        el("div", { class: "pair" }, curveHost, scatterHost), seedKeys, plotNote);
    const draw = () => { drawText(); drawPlots(); };
    drawText();
    if (training.quality) qualityOf(training).then((found) => { rows = found; draw(); root.dataset.ready = "true"; });
    const ofGenerating = new Set(["char", "head"]);
    return {
        update: (changed) => { if ([...changed].every((key) => ofGenerating.has(key))) generating?.update(); else draw(); },
        leave: () => generating?.leave(),
    };
}
