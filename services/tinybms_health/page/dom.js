// Small helpers to write into the page; text is always set as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** An element with a class, text or children. */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Words of the gateway itself, which are English on a page in any language. */
export function english(text) {
  const element = make("span", "", text);
  element.lang = "en";
  return element;
}

/** Replace the children of an element only when what it shows has changed. */
export function show(element, key, build) {
  if (element.dataset.shown === key) return;
  element.dataset.shown = key;
  element.replaceChildren(...build());
}
