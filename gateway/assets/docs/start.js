// Shows the document of this gateway. A token that is typed in stays in this page's memory.
SwaggerUIBundle({
  url: "v1/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  displayOperationId: true,
  defaultModelsExpandDepth: 0,
  // Nothing is asked of other servers.
  validatorUrl: null,
});
