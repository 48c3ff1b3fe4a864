// The first screen's figure: what happens to attention while the loss falls.
import { distinct, levels } from "./colour.js";
import { lineChart } from "./chart.js";
import { el, isDark } from "./dom.js";
import { drawMap, topAttended } from "./maps.js";
import { exporter } from "./export.js";
import { meanOf } from "./model.js";
import { integer, percent, short } from "./number.js";
import { headName } from "./state.js";
import { svgEl } from "./dom.js";
import { inSentence } from "./text.js";

const FRAMES = 6;
/** A character that a head attends to so many times as much as uniform attention would is worth a sentence. */
const NOTABLE = 1.5;

/** About evenly spaced snapshots, the first and the last among them. */
export function frames(count, wanted = FRAMES) {
    const shown = Math.min(count, wanted);
    return [...new Set(Array.from({ length: shown }, (_, at) => Math.round(at * (count - 1) / Math.max(shown - 1, 1))))];
}

const foundFocused = new WeakMap();

/** The head whose normalized entropy falls most from the first to the last snapshot of the first seed; of one snapshot, the lowest. */
export function focused(training) {
    if (foundFocused.has(training)) return foundFocused.get(training);
    const last = training.steps.length - 1;
    let found = { fall: -Infinity, layer: 0, head: 0 };
    for (let layer = 0; layer < training.layers; layer += 1) {
        for (let head = 0; head < training.heads; head += 1) {
            const at = (step) => training.headValue("normalized_entropy", 0, step, layer, head);
            const [before, after] = [last === 0 ? 1 : at(0), at(last)];
            if (before - after > found.fall) found = { fall: before - after, layer, head };
        }
    }
    foundFocused.set(training, found);
    return found;
}

/** Mean over heads of each layer, with its standard error over seeds. */
export function layerCurves(training, measure) {
    return Array.from({ length: training.layers }, (_, layer) => training.steps.map((step, at) => {
        const seeds = training.seeds.map((_, seed) => meanOf(Array.from({ length: training.heads }, (_, head) => training.headValue(measure, seed, at, layer, head)))[0]);
        return [step, ...meanOf(seeds)];
    }));
}

/** Loss over training as mean and standard error over seeds. */
export function lossCurve(losses, which) {
    return losses.steps.map((step, at) => [step, ...meanOf(losses[which].map((seed) => seed[at]))]);
}

/** Band of one standard error; none with one seed. */
export function band(curve) {
    return curve.filter(([, , error]) => error !== null).map(([step, mean, error]) => [step, mean - error, mean + error]);
}

/** The losses of a study without attention, or in which none was recorded yet: a line for each run that learned something else. */
function lossesAlone(root, dataset) {
    const dark = isDark(), width = Math.max(320, Math.min(root.clientWidth || 1080, 760));
    const lines = dataset.losses.map((losses, at) => {
        const points = lossCurve(losses, "val");
        return { points, band: band(points), color: distinct(dark, at), label: dataset.losses.length > 1 ? losses.runs.join(" = ") : undefined };
    });
    const chart = lineChart({ width, height: 280, title: "Validation loss over training", yLabel: `validation loss (nats per ${dataset.unit})`, log: dataset.logSpaced, lines });
    const rows = () => [["step", "runs", "mean", "stderr_over_seeds"], ...dataset.losses.flatMap((losses, at) => lines[at].points.map(([step, mean, error]) => [step, losses.runs.join(" = "), mean, error]))];
    return el("figure", {}, chart, exporter("the figure", () => `losses_${dataset.name}`, () => chart, rows));
}

/** What the figure says, as a sentence: where loss and entropy begin and end. */
export function headline(loss, entropy) {
    const ends = (curve) => [curve[0], curve.at(-1)].map(([, mean]) => mean);
    const [high, low] = ends(loss), [before, after] = [0, -1].map((at) => meanOf(entropy.map((layer) => layer.at(at)[1]))[0]);
    if (entropy[0].length === 1) return `One checkpoint: its validation loss is ${short(low)}, and the mean entropy of its attention ${short(after)}, where 1 is attention spread evenly over all that came before.`;
    const fell = low < high ? "falls" : "goes";
    const verb = after < before - 0.02 ? "attention narrows" : after > before + 0.02 ? "attention spreads" : "attention hardly changes";
    return `While the validation loss ${fell} from ${short(high)} to ${short(low)}, ${verb}: its mean entropy goes from ${short(before)} to ${short(after)}, where 1 is attention spread evenly over all that came before.`;
}

export async function mountStory(root, app) {
    const { training, dataset } = app.at();
    if (!training || training.maps.length === 0) { root.replaceChildren(lossesAlone(root, dataset)); return; }
    const dark = isDark(), width = Math.max(320, Math.min(root.clientWidth || 1080, 1180));
    const wide = width > 700, half = wide ? Math.floor(width / 2) - 12 : width;
    const losses = dataset.losses.find((losses) => training.runs.some((run) => losses.runs.includes(run.name))) ?? dataset.losses[0];
    const loss = lossCurve(losses, "val"), entropy = layerCurves(training, "normalized_entropy");
    const seeds = training.seeds.length > 1 ? `mean of ${training.seeds.length} seeds, band ± 1 standard error` : "one seed";
    const first = lineChart({
        width: half, height: 215, title: "Validation loss over training", yLabel: `validation loss (nats per ${dataset.unit})`, log: dataset.logSpaced,
        lines: [{ points: loss, band: band(loss), color: distinct(dark, 6) }],
    });
    const second = lineChart({
        width: half, height: 215, title: "Normalized entropy of each layer over training", yLabel: "normalized entropy (1: uniform attention)", log: dataset.logSpaced,
        lines: entropy.map((points, layer) => ({ points, band: band(points), color: distinct(dark, layer), label: `layer ${layer}`, name: `layer ${layer}` })),
    });
    const { layer, head } = focused(training), name = headName(layer, head);
    const shown = training.maps[0];
    const strip = el("div", { class: "filmstrip" });
    const maps = await training.mapsAt(shown.seed, shown.window), colours = levels(dark, "sqrt");
    for (const at of frames(training.steps.length)) {
        const canvas = el("canvas", { "aria-hidden": "true" });
        drawMap(canvas, maps.of(at, layer, head), maps.side, colours);
        const value = training.headValue("normalized_entropy", shown.seed, at, layer, head);
        strip.append(el("a", { href: app.link({ view: "attention", step: String(training.steps[at]), head: name, window: String(shown.window), seed: training.seeds[shown.seed] }) },
            canvas, el("span", {}, `step ${integer(training.steps[at])}`), el("span", { class: "muted" }, `entropy ${short(value)}`)));
    }
    const last = training.steps.length - 1, shares = await training.attendedBy(shown.seed), { tokens, uniform } = training.attended;
    const [most] = topAttended(shares, training.attendedAt(last, layer, head), uniform, "share", 1);
    const [far, even] = [training.headValue("mean_distance", shown.seed, last, layer, head), training.uniform.mean_distance];
    const told = `Head ${name} ${last === 0 ? "is the narrowest" : "narrows most"}. At step ${integer(training.steps[last])}, ${most && most.share >= NOTABLE * most.uniform
        ? `${percent(most.share)} of its attention goes to ${inSentence(dataset.vocabulary[tokens[most.at]])}; uniform attention would give it ${percent(most.uniform)}`
        : `it attends ${short(far)} ${dataset.unit}s back on average; uniform attention would ${short(even)}`}.`;
    const caption = `Curves: ${seeds}. Maps: head ${name}, seed ${training.seeds[shown.seed]}, the ${maps.side * maps.block} ${dataset.unit}s of window ${training.windows[shown.window].number}. Each row of a map is one ${dataset.unit}, and shows which earlier ones it attends to: the stronger the colour, the more. Choose a map to explore it.`;
    const svg = () => {
        const size = Math.floor((width - 10) / strip.children.length) - 10;
        const whole = svgEl("svg", { viewBox: `0 0 ${width} ${(wide ? 225 : 440) + size + 40}`, class: "chart" });
        const place = (node, x, y) => { const copy = node.cloneNode(true); copy.setAttribute("x", x); copy.setAttribute("y", y); whole.append(copy); };
        place(first, 0, 0);
        place(second, wide ? half + 20 : 0, wide ? 0 : 220);
        [...strip.children].forEach((one, at) => {
            const x = 5 + at * (size + 10), y = wide ? 225 : 440;
            whole.append(svgEl("image", { x, y, width: size, height: size, href: one.firstChild.toDataURL(), style: "image-rendering:pixelated" }),
                svgEl("text", { class: "note", x, y: y + size + 16 }, one.children[1].textContent), svgEl("text", { class: "note", x, y: y + size + 32 }, one.children[2].textContent));
        });
        root.append(whole);
        queueMicrotask(() => whole.remove());
        return whole;
    };
    const rows = () => [["step", "series", "mean", "stderr_over_seeds"],
        ...loss.map(([step, mean, error]) => [step, "val_loss", mean, error]),
        ...entropy.flatMap((points, layer) => points.map(([step, mean, error]) => [step, `normalized_entropy layer ${layer}`, mean, error]))];
    root.replaceChildren(el("figure", {}, el("p", { class: "headline" }, headline(loss, entropy)), el("div", { class: "pair" }, first, second), el("p", { class: "headline" }, told), strip, el("figcaption", {}, caption),
        el("a", { class: "button", href: app.link({ view: "attention", step: String(training.steps[0]) }) }, "Watch all heads through training"),
        exporter("the figure", () => `story_${dataset.name}`, svg, rows)));
}
