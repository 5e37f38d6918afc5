// Swagger UI on the sandbox's document, with the sandbox's credentials filled in.
"use strict";

async function begin() {
  const made = await (await fetch("/-/explorer.json")).json();
  const explorer = SwaggerUIBundle({
    spec: made.document,
    dom_id: "#explorer",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    docExpansion: "none",
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    filter: true,
    validatorUrl: null,
    queryConfigEnabled: false,
    onComplete() {
      explorer.preauthorizeApiKey("client_credentials", made.client_credentials);
      explorer.preauthorizeApiKey("client_secret", made.client_secret);
    },
  });
  explorer.initOAuth({ clientId: made.client_credentials, clientSecret: made.client_secret });
}

begin();
