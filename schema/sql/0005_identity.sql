-- When two machines last seemed to speak as one device; NULL: never, since its key was last approved.
ALTER TABLE devices ADD COLUMN clone_suspected_at INTEGER;
