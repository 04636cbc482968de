-- What a device says of what runs beyond its version: the variant, where a condition of the device chose another than its hardware's own; and why it failed
-- when it was tested again, as a code.
ALTER TABLE device_models ADD COLUMN variant TEXT;
ALTER TABLE device_models ADD COLUMN retest TEXT;
