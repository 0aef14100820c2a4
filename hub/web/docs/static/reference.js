"use strict";
// The validator that Swagger UI asks by itself is another site's.
const place = document.getElementById("reference");
SwaggerUIBundle({ url: place.dataset.document, domNode: place, validatorUrl: null, deepLinking: true });
