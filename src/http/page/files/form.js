// Forms made of JSON Schema, and what is filled in as the text of a JSON object.

import { el, plain } from "./dom.js";
import { indented, json, parts } from "./json.js";

let count = 0;

/** The schema itself, where it is a reference within the document or "one of these, or null". */
function resolved(schema, root, depth = 0) {
  if (schema === true || typeof schema !== "object" || schema === null || depth > 8) return {};
  if (typeof schema.$ref === "string" && schema.$ref.startsWith("#/")) {
    let target = root;
    for (const part of schema.$ref.slice(2).split("/")) {
      const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
      target = Object.hasOwn(target ?? {}, name) ? target[name] : undefined;
    }
    const { $ref: _, ...own } = schema;
    return { ...resolved(target, root, depth + 1), ...own };
  }
  for (const word of ["anyOf", "oneOf"]) {
    const others = Array.isArray(schema[word]) ? schema[word].filter((one) => one?.type !== "null") : [];
    if (others.length === 1) {
      const { [word]: _, ...own } = schema;
      return { ...resolved(others[0], root, depth + 1), ...own };
    }
  }
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== "null");
    return { ...schema, type: types.length === 1 ? types[0] : undefined };
  }
  return schema;
}

/** The values to choose from, each with its title; null where it is not a choice. */
function choices(schema) {
  const titled = (schema.oneOf ?? schema.anyOf)?.map((one) => (one && Object.hasOwn(one, "const") ? one : null));
  if (titled?.length && !titled.includes(null)) return titled.map((one) => [one.const, one.title ?? String(one.const)]);
  if (!Array.isArray(schema.enum)) return null;
  const names = Array.isArray(schema.enumNames) ? schema.enumNames : [];
  return schema.enum.map((value, at) => [value, names[at] ?? (typeof value === "string" ? value : JSON.stringify(value))]);
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** A number as it was written, so that no digit is lost; or what is wrong with it. */
function number(text, schema) {
  if (!NUMBER.test(text)) return { fault: "Write a number, such as 12 or 1.5." };
  const value = Number(text);
  if (schema.type === "integer" && !Number.isInteger(value)) return { fault: "Write a whole number." };
  if (value < schema.minimum) return { fault: `Not less than ${schema.minimum}.` };
  if (value > schema.maximum) return { fault: `Not more than ${schema.maximum}.` };
  return { json: text };
}

function string(text, schema) {
  const length = [...text].length;
  if (length < schema.minLength) return { fault: `At least ${schema.minLength} characters.` };
  if (length > schema.maxLength) return { fault: `Not more than ${schema.maxLength} characters; these are ${length}.` };
  return { json: JSON.stringify(text) };
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** Puts a text into a field that may not take every text; whether it did. */
function put(input, text) {
  input.value = text;
  return input.value === text;
}

/** A field of several lines, in which Enter makes a new one; Ctrl+Enter sends the form, as everywhere. */
const area = (given) => el("textarea", { rows: 3, spellcheck: false, ...given });

/**
 * The control of one value: its element, whether it is a group; `read`, which gives `json`, `fault`, or nothing; and
 * `write`, which puts the text of a JSON value into it, and gives false where it cannot, and `clear`.
 */
function control(schema, id, required, asked) {
  const options = choices(schema);
  const given = schema.default;
  if (options) {
    const find = (wanted) => options.findIndex(([value]) => same(value, wanted));
    const at = find(given);
    const select = el("select", { id });
    if (!required || at < 0) select.append(el("option", { value: "" }, required ? "Choose…" : "not set"));
    options.forEach(([, title], index) => select.append(el("option", { value: String(index) }, plain(title))));
    if (at >= 0) select.value = String(at);
    const write = (text) => put(select, String(find(JSON.parse(text))));
    return { element: select, write, read: () => (select.value === "" ? {} : { json: JSON.stringify(options[Number(select.value)][0]) }) };
  }
  if (schema.type === "boolean") {
    const select = el("select", { id });
    if (!required || given === undefined) select.append(el("option", { value: "" }, required ? "Choose…" : "not set"));
    select.append(el("option", { value: "true" }, "yes"), el("option", { value: "false" }, "no"));
    if (given !== undefined) select.value = String(given === true);
    const write = (text) => put(select, text.trim());
    return { element: select, write, read: () => (select.value === "" ? {} : { json: select.value }) };
  }
  if (schema.type === "integer" || schema.type === "number") {
    const input = el("input", { id, inputMode: "decimal", autocomplete: "off", value: given === undefined || given === null ? "" : String(given) });
    const write = (text) => NUMBER.test(text.trim()) && put(input, text.trim());
    return { element: input, write, read: () => (input.value.trim() === "" ? {} : number(input.value.trim(), schema)) };
  }
  if (schema.type === "array") return list(schema, id);
  if (schema.type === "string") {
    const secret = schema.format === "password" || schema.writeOnly === true;
    const type = secret ? "password" : { date: "date", email: "email", uri: "url" }[schema.format] ?? "text";
    const value = typeof given === "string" ? given : "";
    // An answer is one line unless it says that it is long; an argument may be any text, unless it says that it is short.
    const long = schema.maxLength > 200 || value.includes("\n");
    const short = secret || schema.format !== undefined || schema.maxLength <= 200 || (asked && !long);
    const input = short ? el("input", { id, type, value, autocomplete: "off", spellcheck: false }) : area({ id, rows: long ? 3 : 1, value });
    if (!short && !long) {
      input.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey || event.isComposing) return;
        event.preventDefault();
        input.form?.requestSubmit();
      });
    }
    // A text that has to be there may be empty.
    const none = required && schema.minLength === 0 ? { json: '""' } : {};
    const write = (text) => typeof JSON.parse(text) === "string" && put(input, JSON.parse(text));
    return { element: input, write, read: () => (input.value === "" ? none : string(input.value, schema)) };
  }
  const value = given === undefined ? "" : JSON.stringify(given, null, 2);
  const text = area({ id, className: "code", placeholder: "JSON", value });
  return { element: text, hint: "as JSON", write: (whole) => put(text, indented(whole)), read: () => (text.value.trim() === "" ? {} : json(text.value)) };
}

function list(schema, id) {
  const items = resolved(schema.items ?? {}, schema);
  const given = Array.isArray(schema.default) ? schema.default : [];
  const options = choices(items);
  if (options && options.length <= 30) {
    const boxes = options.map(([value, title], at) => {
      const box = el("input", { type: "checkbox", id: `${id}-${at}`, checked: given.includes(value) });
      return [box, value, el("label", { className: "choice" }, box, plain(title))];
    });
    const read = () => {
      const chosen = boxes.filter(([box]) => box.checked).map(([, value]) => JSON.stringify(value));
      return chosen.length ? { json: `[${chosen.join(",")}]` } : {};
    };
    const clear = () => boxes.forEach(([box]) => (box.checked = false));
    const write = (text) => {
      const wanted = JSON.parse(text);
      for (const [box, value] of boxes) box.checked = Array.isArray(wanted) && wanted.some((one) => same(one, value));
      return true;
    };
    return { element: el("div", { id, className: "choices" }, boxes.map(([, , label]) => label)), group: true, read, write, clear };
  }
  if (!["string", "integer", "number"].includes(items.type)) {
    const text = area({ id, className: "code", placeholder: "[ ]", value: given.length ? JSON.stringify(given, null, 2) : "" });
    const read = () => {
      if (text.value.trim() === "") return {};
      const one = json(text.value);
      return one.fault || text.value.trim().startsWith("[") ? one : { fault: "Write a list: [ … ]." };
    };
    return { element: text, hint: "as JSON", read, write: (whole) => put(text, indented(whole)) };
  }
  const text = area({ id, value: given.map(String).join("\n") });
  const write = (whole) => {
    if (!Array.isArray(JSON.parse(whole))) return false;
    const entries = parts(whole).map((entry) => (items.type === "string" ? JSON.parse(entry) : entry));
    return entries.every((entry) => typeof entry === "string" && !entry.includes("\n")) && put(text, entries.join("\n"));
  };
  const read = () => {
    const lines = text.value.split("\n").filter((line) => line.trim() !== "");
    if (!lines.length) return {};
    const entries = lines.map((line) => (items.type === "string" ? string(line, items) : number(line.trim(), items)));
    const wrong = entries.findIndex((entry) => entry.fault);
    return wrong < 0 ? { json: `[${entries.map((entry) => entry.json).join(",")}]` } : { fault: `Line ${wrong + 1}: ${entries[wrong].fault}` };
  };
  return { element: text, hint: "one in each line", read, write };
}

/** One field: label, control, help, and a place for what is wrong. */
function field(name, raw, root, required) {
  const schema = resolved(raw, root);
  const id = `field-${++count}`;
  const made = control(schema, id, required, root.titled);
  const bounds = [];
  if (made.hint) bounds.push(made.hint);
  if (schema.minimum !== undefined && schema.maximum !== undefined) bounds.push(`${schema.minimum} to ${schema.maximum}`);
  if (schema.format && schema.type === "string" && !["password", "date", "email", "uri"].includes(schema.format)) bounds.push(`format ${schema.format}`);
  const help = [schema.description, ...bounds].filter((text) => typeof text === "string" && text !== "").join(" · ");
  const fault = el("p", { className: "fault", id: `${id}-fault` });
  const described = [help && `${id}-help`, fault.id].filter(Boolean).join(" ");
  const title = [plain(schema.title && root.titled ? schema.title : name), required ? el("span", { className: "required" }, " required") : null];
  const parts = [help ? el("p", { className: "help", id: `${id}-help` }, plain(help)) : null, made.element, fault];
  if (made.group) {
    const group = el("fieldset", { "aria-describedby": described }, el("legend", {}, title), parts);
    return { ...made, name, required, fault, element: group, input: made.element.querySelector("input") };
  }
  made.element.setAttribute("aria-describedby", described);
  if (required) made.element.setAttribute("aria-required", "true");
  return { ...made, name, required, fault, input: made.element, element: el("div", { className: "field" }, el("label", { for: id }, title), parts) };
}

/** Whether a field shows a value, so that the same would be sent: a wrong one, too, for it can be mended there. */
function takes(field, text) {
  if (!field.write(text)) return false;
  const { json: read, fault } = field.read();
  return fault !== undefined || (read !== undefined && same(JSON.parse(read), JSON.parse(text)));
}

function empty(field) {
  if (field.clear) field.clear();
  else field.input.value = "";
}

/**
 * The fields of an object's schema. `read`: the text of a JSON object, or null where something is wrong, which is then
 * said. `filled`: the same of what is right, and what is left out. `take`: fills in the text of a JSON object; what it
 * cannot show is named, and nothing is changed then.
 */
export function form(schema, titled = false) {
  const root = { ...(schema && typeof schema === "object" ? schema : {}), titled };
  const needed = new Set(Array.isArray(root.required) ? root.required : []);
  const properties = root.properties && typeof root.properties === "object" ? Object.entries(root.properties) : [];
  const fields = properties.map(([name, one]) => field(name, one, root, needed.has(name)));
  const tell = (one, fault) => {
    one.fault.textContent = fault;
    one.input?.setAttribute("aria-invalid", fault ? "true" : "false");
  };
  const values = () => fields.map((one) => [one, one.read()]);
  const object = (read) => `{${read.flatMap(([one, { json }]) => (json === undefined ? [] : `${JSON.stringify(one.name)}:${json}`)).join(",")}}`;
  const read = () => {
    const now = values();
    const wrong = now.filter(([one, value]) => {
      const fault = value.fault ?? (value.json === undefined && one.required ? "This is needed." : "");
      tell(one, fault);
      return fault;
    });
    wrong[0]?.[0].input?.focus();
    return wrong.length ? null : object(now);
  };
  const filled = () => {
    const now = values();
    return { text: object(now), left: now.flatMap(([one, { fault }]) => (fault ? `${one.name}: ${fault}` : [])) };
  };
  const write = (members) =>
    fields.filter((one) => {
      tell(one, "");
      if (members.has(one.name)) return !takes(one, members.get(one.name));
      empty(one);
      return false;
    });
  const take = (text) => {
    const inputs = fields.flatMap((one) => [...one.element.querySelectorAll("input, select, textarea")]);
    const before = inputs.map((input) => [input, input.value, input.checked]);
    const members = parts(text);
    const names = new Set(fields.map((one) => one.name));
    const unknown = [...members.keys()].filter((name) => !names.has(name));
    if (unknown.length) return unknown;
    const failed = write(members).map((one) => one.name);
    if (failed.length) before.forEach(([input, value, checked]) => Object.assign(input, { value, checked }));
    return failed;
  };
  return { elements: fields.map((one) => one.element), first: fields[0]?.input, read, filled, take };
}

/** Lets Ctrl+Enter send a form from everywhere in it, also where Enter is a new line. */
export function sends(event) {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  event.currentTarget.requestSubmit();
}
