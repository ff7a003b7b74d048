// The language of the page: words by key, and numbers and times as that language writes them.

const LANGUAGES = ["en", "fr", "de"];
let words = {};
export let language = "en";

export function preferredLanguage() {
  const wanted = [new URLSearchParams(location.search).get("lang"), stored("language"),
    ...(navigator.languages ?? [])];
  const known = wanted.filter(Boolean).map((name) => name.slice(0, 2).toLowerCase());
  return known.find((name) => LANGUAGES.includes(name)) ?? "en";
}

export async function setLanguage(name) {
  const answer = await fetch(`page/words/${name}.json`);
  if (!answer.ok) throw new Error(`words of ${name}: ${answer.status}`);
  words = await answer.json();
  language = name;
  document.documentElement.lang = name;
  for (const element of document.querySelectorAll("[data-word]")) {
    element.textContent = word(element.dataset.word);
  }
  for (const element of document.querySelectorAll("[data-shown]")) delete element.dataset.shown;
}

/** The word of a key, with {name} replaced; the key itself when there is none. */
export function word(key, values = {}) {
  const text = key.split(".").reduce((found, part) => found?.[part], words);
  if (typeof text !== "string") return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function hasWord(key) {
  return typeof key.split(".").reduce((found, part) => found?.[part], words) === "string";
}

/** A number with its unit; "–" for what is not known. 0 is a number. */
export function figure(value, decimals, unit) {
  if (value === null || value === undefined) return "–";
  const text = value.toLocaleString(language, {
    minimumFractionDigits: decimals, maximumFractionDigits: decimals,
  });
  return unit ? `${text}\u00a0${unit}` : text;
}

export function moment(text) {
  if (!text) return "–";
  return new Date(text).toLocaleString(language, { dateStyle: "short", timeStyle: "medium" });
}

/** A length of time in one or two units. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = parts.findIndex(([, size]) => whole >= size);
  if (first < 0 || first === 3) return `${whole} s`;
  const [unit, size] = parts[first];
  const [small, smallSize] = parts[first + 1];
  const rest = Math.floor((whole % size) / smallSize);
  const main = `${Math.floor(whole / size)} ${unit}`;
  return rest ? `${main} ${rest} ${small}` : main;
}

export function stored(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

export function store(key, value) {
  try { localStorage.setItem(key, value); } catch { /* private window: forgotten at its end */ }
}
