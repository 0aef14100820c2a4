"""The API to read and to try: its document, and Swagger UI beside it."""
