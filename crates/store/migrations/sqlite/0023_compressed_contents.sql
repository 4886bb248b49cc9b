-- What is compressed with zstd; the text beside it is empty then.
ALTER TABLE prompts ADD COLUMN prompt_zstd BLOB;
ALTER TABLE tool_usages ADD COLUMN input_zstd BLOB;
ALTER TABLE model_thoughts ADD COLUMN content_zstd BLOB;
