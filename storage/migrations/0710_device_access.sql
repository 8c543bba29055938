-- What it takes to let a device into a broker that has forgotten it: its password is derived from a secret of the installation and a
-- nonce of its own, so the broker's accounts can be made anew, and who has only the database can derive nothing.

ALTER TABLE servitize.device
    ADD COLUMN nonce bytea,
    ADD COLUMN edge_node text CHECK (edge_node ~ '^[^/+#]+/[^/+#]+$'),
    ADD COLUMN by_certificate boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN servitize.device.nonce IS 'NULL: the password was made at random, by an older version, and is known to nobody but the device.';
COMMENT ON COLUMN servitize.device.edge_node IS 'Sparkplug: GROUP/NODE that it speaks for; NULL: it speaks the native topics.';
COMMENT ON COLUMN servitize.device.by_certificate IS 'Comes in by a client certificate whose common name is its username, and by no password.';
