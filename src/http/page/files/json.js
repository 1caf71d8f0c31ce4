// JSON as text: what is written in it is never made a number, so that no digit is lost.

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** Whether a text is JSON, or what is wrong with it: `json` or `fault`. */
export function json(text) {
  try {
    JSON.parse(text);
    return { json: text };
  } catch (fault) {
    return { fault: `This is not JSON: ${fault.message}` };
  }
}

/** JSON with line breaks. What is not JSON stays as it is. */
export function indented(whole) {
  if (json(whole).fault) return whole;
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  const tokens = whole.match(TOKENS) ?? [];
  tokens.forEach((token, at) => {
    const before = tokens[at - 1];
    if (token === "}" || token === "]") {
      depth -= 1;
      out += before === "{" || before === "[" ? token : line() + token;
    } else {
      if (before === "{" || before === "[" || before === ",") out += line();
      out += token === ":" ? ": " : token;
      if (token === "{" || token === "[") depth += 1;
    }
  });
  return out;
}

/** The texts of a list's entries, or of an object's members by their names. `whole` is JSON. */
export function parts(whole) {
  const found = [];
  let depth = 0;
  for (const token of whole.match(TOKENS) ?? []) {
    if (token === "}" || token === "]") depth -= 1;
    if (depth === 1 && (token === "," || token === ":")) found.push("");
    else if (depth > 0) found.push((found.pop() ?? "") + token);
    if (token === "{" || token === "[") depth += 1;
  }
  if (!whole.trimStart().startsWith("{")) return found;
  return new Map(found.flatMap((name, at) => (at % 2 ? [] : [[JSON.parse(name), found[at + 1]]])));
}
