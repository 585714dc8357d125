// The options of a job, as fields with which its video can be uploaded again.

/** Options that are no field of the form by themselves. */
const OTHERS = ["crop"];
/** Fields of the form that are no options: they have no value in a status. */
const isOption = (name) => name && name !== "file" && name !== "formats";

/** The options of a job by its status, with the formats that it has. */
export function optionsOf(status) {
  const names = [...document.getElementById("form").elements].map(({ name }) => name).filter(isOption);
  // The two ways to choose frames exclude each other.
  const sampling = status.fps === null ? "interval" : "fps";
  const chosen = new Set([...names.filter((name) => name !== "interval"), sampling, ...OTHERS]);
  const given = [...chosen].filter((name) => (status[name] ?? null) !== null);
  const fields = Object.fromEntries(given.map((name) => [name, String(status[name])]));
  return { ...fields, formats: Object.keys(status.urls).join(",") };
}
