-- What boards read beyond rows. Everything here filters by current_tenant() itself; API and board logins have the same rights.

-- The tenant's now: the host's clock, or, where a publisher's clock leads (demonstration, replay), the newest reading of its own equipment.
CREATE FUNCTION servitize.timeline_now() RETURNS timestamptz
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant int := servitize.current_tenant();
    newest timestamptz;
BEGIN
    IF EXISTS (SELECT FROM servitize.tenant t WHERE t.id = tenant AND t.publisher_clock) THEN
        SELECT max(l.ts) INTO newest
          FROM servitize.equipment e
          JOIN servitize.point p ON p.equipment_id = e.id
          JOIN servitize.latest_reading l ON l.point_id = p.id
         WHERE e.tenant_id = tenant;
    END IF;
    RETURN coalesce(newest + interval '1 microsecond', now());
END $$;

GRANT EXECUTE ON FUNCTION servitize.timeline_now TO servitize_api, servitize_board;
