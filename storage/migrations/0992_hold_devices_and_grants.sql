-- A device or a grant, locked until the transaction ends: what its version is read under.
CREATE FUNCTION servitize.hold_device(wanted int) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM servitize.device d WHERE d.id = wanted AND d.tenant_id = servitize.current_tenant() FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such device' USING ERRCODE = 'SV404';
    END IF;
END $$;

CREATE FUNCTION servitize.hold_grant(wanted int) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM servitize.equipment_grant g
      WHERE g.id = wanted AND EXISTS (SELECT FROM servitize.grant_visible v WHERE v.id = wanted) FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such grant' USING ERRCODE = 'SV404';
    END IF;
END $$;

GRANT EXECUTE ON FUNCTION servitize.hold_device, servitize.hold_grant TO servitize_api;
