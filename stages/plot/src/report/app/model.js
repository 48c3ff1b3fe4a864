// The study's tables, and the chunks of it that are unpacked when they are first shown.
import { fromBase64, inflate, sharesOf, triangle } from "./codec.js";
import { headName, headOf } from "./state.js";

const unpacked = new Map();

/** The bytes of a chunk; the text of its element is released. */
export function chunk(id) {
    if (!unpacked.has(id)) {
        const element = document.getElementById(id);
        unpacked.set(id, inflate(fromBase64(element.textContent)));
        element.textContent = "";
    }
    return unpacked.get(id);
}

/** One training: values by seed, step, layer and head. */
export class Training {
    constructor(json, dataset) {
        Object.assign(this, json);
        this.dataset = dataset;
        this.steps = dataset.steps;
        this.seeds = dataset.seeds;
        this.names = [];
        for (let layer = 0; layer < this.layers; layer += 1) for (let head = 0; head < this.heads; head += 1) this.names.push(headName(layer, head));
    }

    /** The value of a head's measure. */
    headValue(measure, seed, step, layer, head) {
        return this.head[measure][seed][(step * this.layers + layer) * this.heads + head];
    }

    /** The same by the head's name. */
    named(measure, seed, step, name) {
        const { layer, head } = headOf(name);
        return this.headValue(measure, seed, step, layer, head);
    }

    layerValue(measure, seed, step, layer) {
        return this.layer[measure][seed][step * this.layers + layer];
    }

    /** The value of a pair of layers, in either order; none for a layer and itself. */
    pairValue(measure, seed, step, a, b) {
        return this.pair[measure][seed][(step * this.layers + Math.min(a, b)) * this.layers + Math.max(a, b)];
    }

    /** Which windows are on the page for a seed. */
    mapsOf(seed) {
        return this.maps.filter((map) => map.seed === seed);
    }

    /** The maps of a window and seed at every step. */
    async mapsAt(seed, window) {
        const entry = this.maps.find((map) => map.seed === seed && map.window === window);
        if (!entry) return null;
        const cells = await chunk(entry.chunk);
        const tokens = this.windows[window].tokens.length;
        return new Maps(cells, Math.ceil(tokens / entry.block), entry.block, this);
    }

    /** The shares of attended characters of a seed. */
    async attendedBy(seed) {
        this.shares ??= new Map();
        if (!this.shares.has(seed)) this.shares.set(seed, sharesOf(await chunk(this.attended.chunks[seed])));
        return this.shares.get(seed);
    }

    /** Where a head's shares begin. */
    attendedAt(step, layer, head) {
        return ((step * this.layers + layer) * this.heads + head) * this.attended.tokens.length;
    }

    /** The symbols of a window's cells: of a reduced map, those of a block. */
    symbols(window, block = 1) {
        const symbols = this.windows[window].tokens.map((token) => this.dataset.vocabulary[token] ?? "�");
        if (block === 1) return symbols;
        return Array.from({ length: Math.ceil(symbols.length / block) }, (_, at) => symbols.slice(at * block, (at + 1) * block).join(""));
    }

    /** Label of a window: its kind and number. */
    windowLabel(window) {
        const { number, kind, start } = this.windows[window];
        return kind === "val" ? `${number}: validation text from ${start}` : `${number}: repeated random block`;
    }

    /** The runs that it is of. */
    label() {
        return this.runs.map((run) => run.name).join(" = ");
    }
}

/** The maps of one window and seed. */
export class Maps {
    constructor(cells, side, block, training) {
        Object.assign(this, { cells, side, block, training, size: triangle(side) });
    }

    /** The cells of one head at a step: row `i` begins at `triangle(i)` and has `i + 1` cells. */
    of(step, layer, head) {
        const at = ((step * this.training.layers + layer) * this.training.heads + head) * this.size;
        return this.cells.subarray(at, at + this.size);
    }
}

/** Mean and standard error of numbers; null without any. */
export function meanOf(values) {
    const known = values.filter((value) => value !== null && value !== undefined);
    if (known.length === 0) return [null, null];
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return [mean, known.length > 1 ? Math.sqrt(squares / (known.length - 1) / known.length) : null];
}

/** The whole study. */
export class Study {
    constructor(json) {
        this.measures = json.measures;
        this.pending = json.pending;
        this.datasets = json.datasets.map((dataset) => ({ ...dataset }));
        for (const dataset of this.datasets) dataset.trainings = dataset.trainings.map((training) => new Training(training, dataset));
        this.labels = new Map(Object.values(this.measures).flat().map((measure) => [measure.name, measure]));
    }

    /** What a column is called, with its unit. */
    label(name) {
        const measure = this.labels.get(name);
        if (!measure) return name;
        return measure.unit === "1" ? measure.label : `${measure.label} (${measure.unit})`;
    }
}
