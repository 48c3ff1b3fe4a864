// Attention while a sample was generated: every head, beside the same head on real text.
import { matrixChart } from "./chart.js";
import { cssLevel, inkOn } from "./colour.js";
import { choice, el, isDark } from "./dom.js";
import { exporter } from "./export.js";
import { beside } from "./layers.js";
import { short } from "./number.js";
import { headName } from "./state.js";

/** The values of one measure by layer and head. */
export function matrixOf(heads, training, at) {
    return Array.from({ length: training.layers }, (_, layer) => Array.from({ length: training.heads }, (_, head) => heads[layer * training.heads + head]?.[at] ?? null));
}

/** Two matrices of heads in the same colours, a choice of the metric, and files of both. `sample` has its values by head. */
export function duringChart(app, sample) {
    const { training, dataset } = app.at(), dark = isDark(), measures = app.study.measures.sample;
    const which = Math.max(0, measures.findIndex((one) => one.name === app.state.x)), measure = measures[which];
    const kinds = [["this sample", matrixOf(sample.heads, training, which)], ["real text, mean", matrixOf(training.quality.validationHeads, training, which)]];
    const all = kinds.flatMap(([, matrix]) => matrix.flat()).filter((value) => value !== null), low = Math.min(...all), high = Math.max(...all);
    const cellOf = (kind, value, layer, head) => {
        if (value === null) return null;
        const color = cssLevel(dark, high > low ? 0.08 + 0.84 * (value - low) / (high - low) : 0.5);
        return { color, ink: inkOn(color), text: short(value), title: `${headName(layer, head)}, ${kind}: ${short(value)}` };
    };
    const charts = kinds.map(([kind, matrix]) => ({ title: kind, chart: matrixChart({
        title: `${measure.label} of every head, ${kind}`, rows: matrix.map((_, layer) => `layer ${layer}`), columns: matrix[0].map((_, head) => `head ${head}`), size: 30, wide: 52, top: 30,
        cells: matrix.map((row, layer) => row.map((value, head) => cellOf(kind, value, layer, head))),
    }) }));
    const root = el("section", { "aria-label": "Attention while generating" });
    const rows = () => [["dataset", "step", "sample", "layer", "head", measure.name, `${measure.name}_real_text`], ...training.names.map((_, at) => {
        const [layer, head] = [Math.floor(at / training.heads), at % training.heads];
        return [dataset.name, sample.step, sample.sample, layer, head, ...kinds.map(([, matrix]) => matrix[layer][head])];
    })];
    root.append(el("h2", {}, "Every head, mean over this sample"),
        el("div", { class: "controls" }, choice("Metric of every head", measures.map((one) => [one.name, one.label]), measure.name, (value) => app.set({ x: value })),
            exporter("attention while generating", () => `while_generating_${dataset.name}_step${sample.step}`, () => beside(root, charts), rows)),
        el("div", { class: "matrices" }, charts.map(({ title, chart }) => el("figure", {}, el("figcaption", {}, title), el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `${measure.label}, ${title}` }, chart)))),
        el("p", { class: "note" }, `${app.study.label(measure.name)}, mean over the ${dataset.unit}s that were generated; higher: ${measure.higher}. The view `,
            el("a", { href: app.link({ view: "attention" }) }, "Attention"), ` shows attention on real text, ${dataset.unit} by ${dataset.unit}.`));
    return root;
}
