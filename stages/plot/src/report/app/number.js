// Numbers as people read them: a true minus sign, commas between thousands from 10,000 on.

/** A whole number, such as a step. */
export function integer(value) {
    const digits = String(Math.abs(Math.round(value)));
    const grouped = digits.length < 5 ? digits : digits.replace(/\B(?=(\d{3})+$)/g, ",");
    return value < 0 ? `−${grouped}` : grouped;
}

/** A number with three significant digits or so; a dash for none. */
export function short(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    const text = size === 0 ? "0" : size >= 1000 ? integer(size) : size >= 100 ? size.toFixed(0) : size >= 10 ? size.toFixed(1)
        : size >= 0.9995 ? size.toFixed(2) : size >= 0.001 ? size.toFixed(3) : size.toExponential(1).replace("-", "−");
    return value < 0 && /[1-9]/.test(text) ? `−${text}` : text;
}

/** A correlation: two decimals, without the zero before them. */
export function correlation(value) {
    const text = Math.abs(value).toFixed(2).replace(/^0/, "");
    return value < 0 && text !== ".00" ? `−${text}` : text;
}

/** A place on an axis, without needless digits. */
export function tick(value) {
    if (Math.abs(value) >= 10_000 && Number.isInteger(value)) return integer(value);
    return String(Number(value.toPrecision(6))).replace("-", "−");
}

/** A share as a percentage. */
export function percent(value) {
    if (value === null || value === undefined) return "–";
    return `${(100 * value).toFixed(value >= 0.0995 ? 0 : value >= 0.00095 ? 1 : 2)} %`;
}

/** Round places for about `count` ticks between two values. */
export function ticks(low, high, count) {
    if (!(high > low)) return [low];
    const raw = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999) ?? 10 * power;
    const found = [];
    for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) found.push(at * step);
    return found.map((value) => Number(value.toPrecision(12)));
}
