-- What the API asks of whoever holds the broker: let a device in, shut one out. The API has no broker and no password goes through the
-- database: both derive it from the installation's secret and the device's nonce.

CREATE TABLE servitize.device_order (
    device_id  int PRIMARY KEY REFERENCES servitize.device ON DELETE CASCADE,
    ordered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at    timestamptz,
    problem    text
);
COMMENT ON TABLE servitize.device_order IS 'The broker is to be told how the device stands now; done_at NULL: it has not been yet.';
COMMENT ON COLUMN servitize.device_order.problem IS 'Why it could not be told, or what whoever sends with this device has to know.';
CREATE INDEX device_order_open ON servitize.device_order (ordered_at) WHERE done_at IS NULL;

ALTER TABLE servitize.device_order ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON servitize.device_order TO servitize_owner, servitize_writer USING (true) WITH CHECK (true);
CREATE POLICY mine ON servitize.device_order FOR SELECT TO servitize_api
    USING (device_id IN (SELECT d.id FROM servitize.device d));
GRANT SELECT ON servitize.device_order TO servitize_api, servitize_writer;
GRANT UPDATE ON servitize.device_order TO servitize_writer;

CREATE FUNCTION servitize.order_device(device int) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO servitize.device_order (device_id) VALUES (device)
    ON CONFLICT (device_id) DO UPDATE SET ordered_at = clock_timestamp(), done_at = NULL, problem = NULL;
    PERFORM pg_notify('servitize_device', device::text);
END $$;

-- A Sparkplug group is one tenant's: that of the first profile that names it, in the registry's order.
CREATE FUNCTION servitize.holds_group(tenant int, sparkplug_group text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    RETURN coalesce((SELECT p.tenant_id = tenant FROM servitize.mapping_profile p
                      WHERE p.document->'sparkplug'->>'group' = sparkplug_group ORDER BY p.tenant_id, p.name LIMIT 1), false);

-- A device of the tenant asking: of one equipment of its own, or with neither equipment nor edge node a gateway for all of them.
CREATE FUNCTION servitize.register_device(
    for_equipment int, gateway text, for_edge_node text, new_nonce bytea, new_hash bytea, OUT id int)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant int := servitize.current_tenant();
    login  text;
BEGIN
    IF tenant IS NULL THEN
        RAISE EXCEPTION 'nobody is asking' USING ERRCODE = 'SV403';
    END IF;
    IF num_nonnulls(for_equipment, gateway, for_edge_node) <> 1 THEN
        RAISE EXCEPTION 'a device is for an equipment, a gateway or an edge node' USING ERRCODE = 'SV400';
    END IF;
    IF for_equipment IS NOT NULL THEN
        PERFORM servitize.require_manage(for_equipment, true);
    END IF;
    IF for_edge_node IS NOT NULL AND NOT servitize.holds_group(tenant, split_part(for_edge_node, '/', 1)) THEN
        RAISE EXCEPTION 'you have no Sparkplug group %', quote_literal(split_part(for_edge_node, '/', 1))
            USING ERRCODE = 'SV400', HINT = 'a mapping profile gives it to you';
    END IF;
    SELECT t.slug || '.' || coalesce(gateway, replace(for_edge_node, '/', '.'),
                                     (SELECT e.key FROM servitize.equipment e WHERE e.id = for_equipment))
      INTO login FROM servitize.tenant t WHERE t.id = tenant;
    IF login ~ '[:[:cntrl:]]' OR login <> btrim(login) THEN
        RAISE EXCEPTION '% cannot be a name at the broker', quote_literal(login)
            USING ERRCODE = 'SV400', HINT = 'without colons, and without spaces at the ends';
    END IF;
    INSERT INTO servitize.device (tenant_id, equipment_id, client_id, username, secret_hash, nonce, edge_node)
    VALUES (tenant, for_equipment, login, login, new_hash, new_nonce, for_edge_node)
    ON CONFLICT DO NOTHING RETURNING device.id INTO id;
    IF id IS NULL THEN
        RAISE EXCEPTION 'there is a device % already', quote_literal(login)
            USING ERRCODE = 'SV409', HINT = 'a lost password is made anew by POST /v1/devices/{device}/rotate';
    END IF;
    PERFORM servitize.order_device(id);
END $$;

-- A new password for a device of the tenant asking; one that was shut out comes in again.
CREATE FUNCTION servitize.renew_device(device int, new_nonce bytea, new_hash bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE servitize.device d
       SET nonce = new_nonce, secret_hash = new_hash, rotated_at = now(), revoked_at = NULL
     WHERE d.id = device AND d.tenant_id = servitize.current_tenant() AND NOT d.by_certificate;
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM servitize.device d WHERE d.id = device AND d.tenant_id = servitize.current_tenant()) THEN
            RAISE EXCEPTION 'it comes in by a certificate, not by a password' USING ERRCODE = 'SV409',
                HINT = 'give it another certificate';
        END IF;
        RAISE EXCEPTION 'there is no such device' USING ERRCODE = 'SV404';
    END IF;
    PERFORM servitize.order_device(device);
END $$;

CREATE FUNCTION servitize.shut_device_out(device int) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE servitize.device d SET revoked_at = coalesce(d.revoked_at, now())
     WHERE d.id = device AND d.tenant_id = servitize.current_tenant();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such device' USING ERRCODE = 'SV404';
    END IF;
    PERFORM servitize.order_device(device);
END $$;

-- A shelf ends when its time is up by this clock, and by nobody's word: the API's timer may ask when it likes.
CREATE FUNCTION servitize.expire_due_shelves() RETURNS int
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    RETURN servitize.expire_shelves(clock_timestamp());
REVOKE EXECUTE ON FUNCTION servitize.expire_shelves FROM servitize_api;

GRANT EXECUTE ON FUNCTION servitize.register_device, servitize.renew_device, servitize.shut_device_out, servitize.expire_due_shelves
    TO servitize_api;
