-- When bytes of an upload arrived last: what nobody goes on with is dropped, however long ago it began.
ALTER TABLE uploads ADD COLUMN touched_at INTEGER NOT NULL DEFAULT 0;
UPDATE uploads SET touched_at = created_at;
