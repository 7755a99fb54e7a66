// Shows /openapi.json. Nothing is asked of anyone but this service.

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

/** Without the examples of what a call may leave out: they would be sent with each call that is tried. */
function withoutChoices(spec) {
  const all = Object.values(spec.paths).flatMap((path) => [path, ...Object.values(path)]).flatMap((one) => one.parameters ?? []);
  for (const parameter of [...all, ...Object.values(spec.components.parameters)]) if (!parameter.required) delete parameter.example;
  return spec;
}

const show = (spec) => SwaggerUIBundle({
  spec,
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayOperationId: true,
  displayRequestDuration: true,
  // Both would let a link choose what this page shows, and whom it asks.
  queryConfigEnabled: false,
  validatorUrl: null,
});

fetch("/openapi.json").then((answer) => answer.json()).then((spec) => show(withoutChoices(spec))).catch(() => {
  document.getElementById("docs").textContent = "The service does not answer. Load this page again in a moment.";
});
