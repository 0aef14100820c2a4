"""The pages: read-only, without personal data, in English and Arabic."""
