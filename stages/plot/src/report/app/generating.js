// Attention while a sample was generated, token by token: of one head in the text, of every head side by side.
import { weight } from "./codec.js";
import { cssLevel, inkOn, levels } from "./colour.js";
import { choice, el, isDark, svgEl } from "./dom.js";
import { exporter } from "./export.js";
import { axisOf, drawRows } from "./maps.js";
import { chunk } from "./model.js";
import { integer, percent } from "./number.js";
import { headName, headOf } from "./state.js";
import { spoken, visible } from "./text.js";

/** Milliseconds between tokens while playing. */
const PACE = 160;

/** A sample's tokens, the prompt first, and the attention behind each that was generated. */
export class Generated {
    constructor(json, cells) {
        Object.assign(this, json, { cells });
        let at = 0;
        this.begins = this.contexts.map((size) => { const begin = at; at += size * this.layers * this.heads; return begin; });
        this.widest = Math.max(...this.contexts);
    }

    /** Where the context of a generated token begins, counted from the first token of the prompt. */
    start(position) {
        return this.prompt + position - this.contexts[position];
    }

    /** One head's attention to the context, in levels; the last is that of the token before. */
    row(position, layer, head) {
        const size = this.contexts[position], at = this.begins[position] + (layer * this.heads + head) * size;
        return this.cells.subarray(at, at + size);
    }

    /** The tokens that a head attended to most, with their weights and how far before the generated one they are. */
    most(position, layer, head, count) {
        const row = this.row(position, layer, head), start = this.start(position);
        const all = Array.from(row, (level, at) => ({ at: start + at, before: row.length - at, weight: weight(level) }));
        return all.sort((one, other) => other.weight - one.weight || one.before - other.before).slice(0, count);
    }
}

/** The section of one sample; `json` says where its cells are. */
export function generatingView(app, json) {
    const { dataset } = app.at(), dark = isDark(), colours = levels(dark, "sqrt"), unit = dataset.unit;
    const root = el("section", { class: "generating", "aria-label": "Attention while generating, token by token" });
    const title = el("h2", {}, `Attention while generating this sample, ${unit} by ${unit}`);
    const names = Array.from({ length: json.layers * json.heads }, (_, at) => headName(Math.floor(at / json.heads), at % json.heads));
    const symbols = json.tokens.map((token) => dataset.vocabulary[token] ?? "�"), count = json.contexts.length;
    const text = el("div", { class: "text", role: "slider", tabindex: "0", "aria-label": `Generated ${unit}`, "aria-valuemin": 1, "aria-valuemax": count });
    const spans = symbols.map((symbol, at) => el("span", { class: [symbol === "\n" && "feed", at < json.prompt && "prompt"].filter(Boolean).join(" ") || null, title: at < json.prompt ? "prompt" : null }, el("bdi", {}, visible(symbol))));
    text.append(...spans.flatMap((span, at) => (symbols[at].endsWith("\n") ? [span, el("br")] : [span])));
    const said = el("p", { class: "said", "aria-live": "polite" }), controls = el("div", { class: "controls" });
    const canvas = el("canvas", { "aria-hidden": "true" }), axisHost = el("div", { class: "stripaxis" }), mark = el("i", { class: "stripmark" });
    const labels = names.map((name) => el("button", { type: "button", "data-head": name, onclick: () => app.set({ head: name }) }, name));
    const strip = el("div", { class: "strip", style: `--rows:${names.length}` }, el("div", { class: "striplabels", role: "group", "aria-label": "Heads" }, labels), el("div", { class: "stripmap" }, canvas, mark), axisHost);
    const play = el("button", { type: "button", class: "play", "aria-label": "Play the generation", onclick: () => (timer ? pause() : start()) }, "▶");
    let generated = null, hovered = null, played = null, timer = null;

    const chosen = () => {
        const { head } = app.at(), known = head && head.layer < json.layers && head.head < json.heads;
        return known ? head : { layer: 0, head: 0, name: headName(0, 0) };
    };
    // Without a choice, the first token before which the context is full.
    const pinned = () => {
        const at = Number.parseInt(app.state.char, 10);
        return Number.isNaN(at) ? json.contexts.indexOf(generated.widest) : Math.min(count - 1, Math.max(0, at));
    };
    const shown = () => hovered ?? played ?? pinned();

    function pause() {
        clearInterval(timer);
        timer = null;
        play.textContent = "▶";
        play.setAttribute("aria-label", "Play the generation");
        if (played !== null) { const at = String(played); played = null; app.set({ char: at }); }
    }
    function start() {
        played = pinned() === count - 1 ? 0 : pinned();
        play.textContent = "❚❚";
        play.setAttribute("aria-label", "Pause");
        timer = setInterval(() => {
            if (!root.isConnected || played === count - 1) return pause();
            played += 1;
            return follow();
        }, PACE);
    }
    /** Shows a token, and brings it into the part of the text that is seen. */
    function follow() {
        highlight();
        const box = text.getBoundingClientRect(), at = spans[json.prompt + shown()].getBoundingClientRect();
        if (at.top < box.top || at.bottom > box.bottom) text.scrollTop += at.top - box.top - box.height / 2;
    }

    function highlight() {
        const position = shown(), { layer, head, name } = chosen(), start = generated.start(position), end = json.prompt + position;
        const row = generated.row(position, layer, head);
        spans.forEach((span, at) => {
            const level = at >= start && at < end ? row[at - start] : 0, colour = level ? cssLevel(dark, level / 255) : "";
            span.style.background = colour;
            span.style.color = colour && inkOn(colour);
            span.classList.toggle("current", at === end);
            span.classList.toggle("after", at < start || at > end);
        });
        const list = generated.most(position, layer, head, 3).filter((one) => one.weight > 0).map((one) => `${spoken(symbols[one.at])}, ${one.before} before (${percent(one.weight)})`).join("; ");
        said.textContent = `${unit[0].toUpperCase()}${unit.slice(1)} ${integer(position + 1)} of ${integer(json.length)} is ${spoken(symbols[end])}. To predict it, head ${name} attended to ${list}.`;
        said.dataset.position = position;
        text.setAttribute("aria-valuenow", position + 1);
        text.setAttribute("aria-valuetext", said.textContent);
        const size = json.contexts[position];
        drawRows(canvas, names.map((_, at) => generated.row(position, Math.floor(at / json.heads), at % json.heads)), generated.widest, colours);
        axisHost.replaceChildren(axisOf([...Array(generated.widest - size).fill(null), ...symbols.slice(start, end)], 640, false));
        labels.forEach((label) => label.setAttribute("aria-pressed", String(label.dataset.head === name)));
        mark.style.setProperty("--row", names.indexOf(name));
    }

    const rows = () => {
        const position = shown(), start = generated.start(position), size = json.contexts[position];
        return [["dataset", "seed", "step", "sample", "position", "generated", "layer", "head", "before", "attended", "weight"], ...names.flatMap((name) => {
            const { layer, head } = headOf(name), row = generated.row(position, layer, head);
            return Array.from(row, (level, at) => [dataset.name, dataset.seeds[0], json.step, json.sample, position, visible(symbols[json.prompt + position]), layer, head, size - at, visible(symbols[start + at]), weight(level).toFixed(5)]);
        })];
    };
    function svg() {
        const position = shown(), size = json.contexts[position], start = generated.start(position), pitch = 11, left = 52, width = left + generated.widest * pitch + 10;
        const whole = svgEl("svg", { viewBox: `0 0 ${width} ${names.length * pitch + 60}`, class: "chart" },
            svgEl("text", { class: "note", x: 8, y: 18 }, `${dataset.name}, step ${integer(json.step)}, sample ${json.sample}: attention before ${unit} ${position + 1}, ${visible(symbols[json.prompt + position])}`),
            svgEl("image", { x: left, y: 28, width: generated.widest * pitch, height: names.length * pitch, preserveAspectRatio: "none", href: canvas.toDataURL(), style: "image-rendering:pixelated" }));
        names.forEach((name, at) => whole.append(svgEl("text", { class: "tick", style: "font-size:9px", x: left - 6, y: 28 + (at + 0.8) * pitch, "text-anchor": "end" }, name)));
        symbols.slice(start, start + size).forEach((symbol, at) => whole.append(svgEl("text", { class: "tick", style: "font-size:9px", x: left + (generated.widest - size + at + 0.5) * pitch, y: 42 + names.length * pitch, "text-anchor": "middle" }, `\u2068${visible(symbol)}\u2069`)));
        root.append(whole);
        queueMicrotask(() => whole.remove());
        return whole;
    }

    const heads = choice("Head", names.map((name) => [name, name]), chosen().name, (value) => app.set({ head: value }));
    controls.append(play, heads, exporter(`attention while generating, ${unit} by ${unit}`, () => `generated_attention_${dataset.name}_step${json.step}_sample${json.sample}_${unit}${shown() + 1}`, svg, rows));
    spans.forEach((span, at) => {
        if (at < json.prompt) return;
        span.addEventListener("pointerenter", () => { if (generated) { hovered = at - json.prompt; highlight(); } });
        span.addEventListener("click", () => app.set({ char: String(at - json.prompt) }));
    });
    text.addEventListener("pointerleave", () => { if (generated) { hovered = null; highlight(); } });
    text.addEventListener("keydown", (event) => {
        const moved = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
        if (moved === undefined || !generated) return;
        event.preventDefault();
        app.set({ char: String(Math.min(count - 1, Math.max(0, pinned() + moved))) });
    });
    const place = (event) => {
        const box = canvas.getBoundingClientRect(), share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
        return [share[0] * generated.widest, share[1] * names.length].map((at, which) => Math.min((which ? names.length : generated.widest) - 1, Math.max(0, Math.floor(at))));
    };
    canvas.addEventListener("pointermove", (event) => {
        if (!generated) return;
        const [column, row] = place(event), position = shown(), size = json.contexts[position], at = column - (generated.widest - size), { layer, head } = headOf(names[row]);
        if (at >= 0) said.textContent = `Head ${names[row]} attended to ${spoken(symbols[generated.start(position) + at])}, ${size - at} before: ${percent(weight(generated.row(position, layer, head)[at]))}.`;
    });
    canvas.addEventListener("pointerleave", () => { if (generated) highlight(); });
    canvas.addEventListener("click", (event) => { if (generated) app.set({ head: names[place(event)[1]] }); });

    root.append(title, controls, text, said, el("h3", {}, `Every head before this ${unit}`), strip,
        el("p", { class: "note" }, `Each row is a head, each column a ${unit} of the context, the latest at the right; the colour goes with the square root of the attention, the same in the text. Recorded in the table generated_attention`, json.length > count ? `; of ${integer(json.length)} ${unit}s the first ${integer(count)} are on this page.` : "."));
    chunk(json.chunk).then((cells) => {
        generated = new Generated(json, cells);
        follow();
        root.dataset.ready = "true";
    });
    return { root, update: () => { heads.querySelector("select").value = chosen().name; if (generated) follow(); }, leave: () => clearInterval(timer) };
}
