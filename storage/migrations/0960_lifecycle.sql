-- Serial numbers and their lives. What happened to an item is a list of steps that only grows; where it is, what it ran and what it cost
-- is read from it. A machine is an item too: the one that counts hours for what is built into it.

CREATE TABLE servitize.item (
    id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     int NOT NULL REFERENCES servitize.tenant,
    equipment_id  int UNIQUE REFERENCES servitize.equipment,
    kind          text NOT NULL CHECK (kind ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    serial        text NOT NULL CHECK (serial <> ''),
    identifier    text NOT NULL UNIQUE,
    manufacturer  text NOT NULL,
    designation   text NOT NULL,
    attributes    jsonb NOT NULL DEFAULT '{}',
    registered_at timestamptz NOT NULL DEFAULT now(),
    registered_by text NOT NULL,
    UNIQUE (tenant_id, kind, serial)
);
COMMENT ON COLUMN servitize.item.identifier IS 'Canonical GS1 Digital Link or IEC 61406 identification link: one thing in the world.';
COMMENT ON COLUMN servitize.item.equipment_id IS 'The machine that it is; NULL: a part.';

CREATE TABLE servitize.item_step (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item_id     int NOT NULL REFERENCES servitize.item,
    at          timestamptz NOT NULL,
    deed        text NOT NULL CHECK (deed IN ('built', 'installed', 'removed', 'inspected', 'repaired', 'overhauled', 'remanufactured', 'scrapped')),
    host_id     int REFERENCES servitize.item,
    position    text NOT NULL DEFAULT '',
    failed      boolean NOT NULL DEFAULT false,
    grade       text NOT NULL DEFAULT '',
    cost        numeric(16, 4) NOT NULL DEFAULT 0 CHECK (cost >= 0),
    currency    text NOT NULL DEFAULT 'EUR',
    note        text NOT NULL DEFAULT '',
    measured    jsonb NOT NULL DEFAULT '{}',
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL,
    CHECK ((deed IN ('installed', 'removed')) = (host_id IS NOT NULL))
);
CREATE INDEX item_step_item ON servitize.item_step (item_id, id);
CREATE INDEX item_step_host ON servitize.item_step (host_id) WHERE host_id IS NOT NULL;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.item_step
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();

-- Limits by kind of part: when it is reused, repaired, remanufactured, scrapped; and what is due when.
CREATE TABLE servitize.item_kind (
    tenant_id int NOT NULL REFERENCES servitize.tenant,
    kind      text NOT NULL CHECK (kind ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    document  jsonb NOT NULL,
    PRIMARY KEY (tenant_id, kind)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['item', 'item_step', 'item_kind']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer, servitize_api, servitize_board', name);
    END LOOP;
END $$;
-- A machine's item shows with the machine; parts are their owner's.
CREATE POLICY mine ON servitize.item FOR SELECT TO servitize_api, servitize_board
    USING (tenant_id = (SELECT servitize.current_tenant())
           OR equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m));
CREATE POLICY mine ON servitize.item_step FOR SELECT TO servitize_api, servitize_board
    USING (item_id IN (SELECT i.id FROM servitize.item i));
CREATE POLICY mine ON servitize.item_kind FOR SELECT TO servitize_api, servitize_board
    USING (tenant_id = (SELECT servitize.current_tenant()));

CREATE FUNCTION servitize.register_item(
    machine int, of_kind text, number text, link text, maker text, called text, more jsonb, who text) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asking int := servitize.current_tenant();
    made   int;
BEGIN
    IF asking IS NULL THEN
        RAISE EXCEPTION 'nobody is asking' USING ERRCODE = 'SV403';
    END IF;
    IF machine IS NOT NULL THEN
        PERFORM servitize.require_manage(machine, true);
    END IF;
    INSERT INTO servitize.item (tenant_id, equipment_id, kind, serial, identifier, manufacturer, designation, attributes, registered_by)
    VALUES (asking, machine, of_kind, number, link, maker, called, coalesce(more, '{}'), who)
    ON CONFLICT DO NOTHING RETURNING id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'that serial number, identifier or machine is registered already' USING ERRCODE = 'SV409';
    END IF;
    RETURN made;
END $$;

-- Takes a step. Whether it can have happened was checked by whoever asks against what is stored (core.lifecycle.genealogy); `seen` says up to which
-- step, so that two at once cannot both be right.
CREATE FUNCTION servitize.take_item_step(
    item int, seen bigint, moment timestamptz, what text, host int, place text, has_failed boolean, graded text, costs numeric,
    in_currency text, said text, amounts jsonb, who text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asking int := servitize.current_tenant();
    made   bigint;
BEGIN
    PERFORM FROM servitize.item i WHERE i.id = item AND i.tenant_id = asking;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such item' USING ERRCODE = 'SV404';
    END IF;
    IF host IS NOT NULL AND NOT EXISTS (SELECT FROM servitize.item i WHERE i.id = host AND i.tenant_id = asking) THEN
        RAISE EXCEPTION 'there is no such item to build it into' USING ERRCODE = 'SV400';
    END IF;
    -- one step at a time per tenant: an assembly's moves concern everything in it
    PERFORM pg_advisory_xact_lock(hashtext('servitize.item_step'), asking);
    IF coalesce((SELECT max(s.id) FROM servitize.item_step s JOIN servitize.item i ON i.id = s.item_id WHERE i.tenant_id = asking), 0) <> seen THEN
        RAISE EXCEPTION 'something else was recorded meanwhile' USING ERRCODE = 'SV409', HINT = 'send it again';
    END IF;
    IF moment > clock_timestamp() + interval '1 minute' THEN
        RAISE EXCEPTION 'that has not happened yet' USING ERRCODE = 'SV400';
    END IF;
    INSERT INTO servitize.item_step (item_id, at, deed, host_id, position, failed, grade, cost, currency, note, measured, recorded_by)
    VALUES (item, moment, what, host, coalesce(place, ''), has_failed, coalesce(graded, ''), coalesce(costs, 0), coalesce(in_currency, 'EUR'),
            coalesce(said, ''), coalesce(amounts, '{}'), who)
    RETURNING id INTO made;
    RETURN made;
END $$;

CREATE FUNCTION servitize.put_item_kind(of_kind text, given jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF servitize.current_tenant() IS NULL THEN
        RAISE EXCEPTION 'nobody is asking' USING ERRCODE = 'SV403';
    END IF;
    INSERT INTO servitize.item_kind (tenant_id, kind, document) VALUES (servitize.current_tenant(), of_kind, given)
    ON CONFLICT (tenant_id, kind) DO UPDATE SET document = excluded.document;
END $$;

GRANT EXECUTE ON FUNCTION servitize.register_item, servitize.take_item_step, servitize.put_item_kind TO servitize_api;
