-- Spare parts and their reservations, crews and planned windows, oil samples; and the locks that If-Match needs.

-- The revision of an advisory or a work order, held to the end of the transaction. NULL: not there or not visible.
CREATE FUNCTION servitize.hold_advisory(advisory bigint) RETURNS int
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT a.revision FROM servitize.advisory a WHERE a.id = advisory AND servitize.may(a.equipment_id, 'read') FOR UPDATE $$;

CREATE FUNCTION servitize.hold_work(work bigint) RETURNS int
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT w.revision FROM servitize.work_order w WHERE w.id = work AND servitize.may(w.equipment_id, 'read') FOR UPDATE $$;

-- Numbers of the tenants with machines whose types say something of upkeep.
CREATE FUNCTION servitize.tenants_with_upkeep() RETURNS SETOF int
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT e.tenant_id FROM servitize.equipment e JOIN servitize.equipment_type t ON t.key = e.type_key
     WHERE e.status = 'approved' AND t.document ? 'maintenance' ORDER BY 1
$$;
GRANT EXECUTE ON FUNCTION servitize.tenants_with_upkeep TO servitize_api;

CREATE TABLE servitize.part (
    id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  int NOT NULL REFERENCES servitize.tenant,
    key        text NOT NULL CHECK (key ~ '^[a-zA-Z0-9][a-zA-Z0-9._-]{0,79}$'),
    name       text NOT NULL,
    number     text NOT NULL DEFAULT '',
    unit       text NOT NULL DEFAULT '1',
    price      numeric(14, 2) NOT NULL DEFAULT 0 CHECK (price >= 0),
    currency   text NOT NULL DEFAULT 'EUR',
    lead_days  float8 NOT NULL DEFAULT 0 CHECK (lead_days >= 0),
    minimum    numeric(14, 4) NOT NULL DEFAULT 0 CHECK (minimum >= 0),
    on_hand    numeric(14, 4) NOT NULL DEFAULT 0 CHECK (on_hand >= 0),
    revision   int NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, key)
);
COMMENT ON COLUMN servitize.part.on_hand IS 'The sum of its movements, kept with each of them.';

CREATE TABLE servitize.stock_movement (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     int NOT NULL REFERENCES servitize.tenant,
    part_id       int NOT NULL REFERENCES servitize.part,
    work_order_id bigint REFERENCES servitize.work_order,
    at            timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind          text NOT NULL CHECK (kind IN ('received', 'taken', 'returned', 'counted')),
    quantity      numeric(14, 4) NOT NULL,
    actor         text NOT NULL,
    note          text NOT NULL DEFAULT ''
);
CREATE INDEX stock_movement_part ON servitize.stock_movement (part_id, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.stock_movement
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();

-- What an unfinished work order will need. Of one part and order there is one; it ends when the order does.
CREATE TABLE servitize.reservation (
    tenant_id     int NOT NULL REFERENCES servitize.tenant,
    part_id       int NOT NULL REFERENCES servitize.part,
    work_order_id bigint NOT NULL REFERENCES servitize.work_order,
    quantity      numeric(14, 4) NOT NULL CHECK (quantity >= 0),
    at            timestamptz NOT NULL,
    PRIMARY KEY (part_id, work_order_id)
);
CREATE INDEX reservation_order ON servitize.reservation (work_order_id);

CREATE FUNCTION servitize.release_reservations() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM servitize.reservation r WHERE r.work_order_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER release AFTER UPDATE OF state ON servitize.work_order
    FOR EACH ROW WHEN (NEW.state IN ('closed', 'cancelled')) EXECUTE FUNCTION servitize.release_reservations();

-- The tenant's part, locked. Movements of one part follow one another.
CREATE FUNCTION servitize.my_part(part_key text) RETURNS servitize.part
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p servitize.part;
BEGIN
    SELECT * INTO p FROM servitize.part x WHERE x.tenant_id = servitize.current_tenant() AND x.key = part_key FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such part' USING ERRCODE = 'SV404';
    END IF;
    RETURN p;
END $$;

CREATE FUNCTION servitize.keep_part(
    part_key text, named text, part_number text, in_unit text, costs numeric, in_currency text, lead float8, at_least numeric) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant int := servitize.current_tenant();
    is_new boolean;
BEGIN
    IF tenant IS NULL THEN
        RAISE EXCEPTION 'nobody is asking' USING ERRCODE = 'SV403';
    END IF;
    INSERT INTO servitize.part AS p (tenant_id, key, name, number, unit, price, currency, lead_days, minimum)
    VALUES (tenant, part_key, named, part_number, in_unit, costs, in_currency, lead, at_least)
    ON CONFLICT (tenant_id, key) DO UPDATE
       SET name = excluded.name, number = excluded.number, unit = excluded.unit, price = excluded.price, currency = excluded.currency,
           lead_days = excluded.lead_days, minimum = excluded.minimum, revision = p.revision + 1, updated_at = now()
    RETURNING p.revision = 1 INTO is_new;
    RETURN is_new;
END $$;

-- Into and out of stock. "counted": there are so many now, whatever was thought; the difference is the movement.
CREATE FUNCTION servitize.move_stock(
    part_key text, as_kind text, amount numeric, work bigint, remark text, who text, OUT on_hand numeric, OUT available numeric)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p      servitize.part := servitize.my_part(part_key);
    w      servitize.work_order;
    change numeric;
    before numeric := p.on_hand;
    free   numeric;
BEGIN
    IF amount < 0 OR (amount = 0 AND as_kind <> 'counted') THEN
        RAISE EXCEPTION 'a quantity is more than nothing' USING ERRCODE = 'SV400';
    END IF;
    change := CASE as_kind WHEN 'taken' THEN -amount WHEN 'counted' THEN amount - p.on_hand ELSE amount END;
    IF work IS NOT NULL THEN
        SELECT x.* INTO w FROM servitize.work_order x WHERE x.id = work;
        PERFORM servitize.require_operate(w.equipment_id, 'work order');
        IF w.state NOT IN ('in_progress', 'done', 'verified') THEN
            RAISE EXCEPTION 'a work order in state % takes no parts', w.state USING ERRCODE = 'SV409', HINT = 'start it';
        END IF;
    END IF;
    IF p.on_hand + change < 0 THEN
        RAISE EXCEPTION 'there are only % in stock', p.on_hand USING ERRCODE = 'SV409', HINT = 'count the shelf, or receive what came';
    END IF;
    INSERT INTO servitize.stock_movement (tenant_id, part_id, work_order_id, at, kind, quantity, actor, note)
    VALUES (p.tenant_id, p.id, work, servitize.timeline_now(), as_kind, change, who, remark);
    UPDATE servitize.part x SET on_hand = x.on_hand + change, updated_at = now() WHERE x.id = p.id RETURNING x.on_hand INTO on_hand;
    IF work IS NOT NULL AND as_kind IN ('taken', 'returned') THEN
        UPDATE servitize.reservation r SET quantity = greatest(0, r.quantity + change) WHERE r.part_id = p.id AND r.work_order_id = work;
        PERFORM servitize.enter_work(work, 'part', p.key, -change, p.unit, round(-change * p.price, 2), remark, who);
    END IF;
    SELECT on_hand - coalesce(sum(r.quantity), 0) INTO free FROM servitize.reservation r WHERE r.part_id = p.id;
    available := free;
    -- told once, when it falls below
    IF on_hand < p.minimum AND before >= p.minimum THEN
        INSERT INTO servitize.outbox (tenant_id, kind, payload)
        VALUES (p.tenant_id, 'stock', jsonb_build_object(
            'subject', 'part/' || p.key, 'open', true, 'event', 'below_minimum', 'priority', 'low', 'part', p.key,
            'title', format('%s: %s left, at least %s wanted', p.name, on_hand, p.minimum), 'at', servitize.to_us(servitize.timeline_now()),
            'action', 'Order it'));
    END IF;
END $$;

CREATE FUNCTION servitize.reserve_part(part_key text, work bigint, amount numeric, OUT available numeric)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p servitize.part := servitize.my_part(part_key);
    w servitize.work_order;
BEGIN
    SELECT x.* INTO w FROM servitize.work_order x WHERE x.id = work;
    PERFORM servitize.require_operate(w.equipment_id, 'work order');
    IF w.state IN ('closed', 'cancelled') THEN
        RAISE EXCEPTION 'the work order is over' USING ERRCODE = 'SV409';
    END IF;
    INSERT INTO servitize.reservation (tenant_id, part_id, work_order_id, quantity, at)
    VALUES (p.tenant_id, p.id, work, amount, servitize.timeline_now())
    ON CONFLICT (part_id, work_order_id) DO UPDATE SET quantity = excluded.quantity;
    SELECT p.on_hand - coalesce(sum(r.quantity), 0) INTO available FROM servitize.reservation r WHERE r.part_id = p.id;
END $$;

CREATE TABLE servitize.crew (
    id        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id int NOT NULL REFERENCES servitize.tenant,
    key       text NOT NULL CHECK (key ~ '^[a-zA-Z0-9][a-zA-Z0-9._-]{0,79}$'),
    name      text NOT NULL,
    people    int NOT NULL CHECK (people BETWEEN 1 AND 1000),
    skills    text[] NOT NULL DEFAULT '{}',
    UNIQUE (tenant_id, key)
);

CREATE TABLE servitize.maintenance_window (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    int NOT NULL REFERENCES servitize.tenant,
    equipment_id int REFERENCES servitize.equipment,
    starts_at    timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL CHECK (ends_at > starts_at),
    stands       boolean NOT NULL DEFAULT false,
    note         text NOT NULL DEFAULT ''
);
COMMENT ON COLUMN servitize.maintenance_window.equipment_id IS 'Only for this machine; NULL: for any.';
COMMENT ON COLUMN servitize.maintenance_window.stands IS 'The machine stands then anyway: work in it costs no stop.';
CREATE INDEX maintenance_window_tenant ON servitize.maintenance_window (tenant_id, starts_at);

CREATE TABLE servitize.oil_sample (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    component    text NOT NULL,
    sampled_at   timestamptz NOT NULL,
    laboratory   text NOT NULL DEFAULT '',
    reference    text NOT NULL DEFAULT '',
    figures      jsonb NOT NULL,
    verdict      jsonb NOT NULL,
    actor        text NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (equipment_id, component, sampled_at, reference)
);
COMMENT ON COLUMN servitize.oil_sample.verdict IS 'What it was judged to be when it came in: per figure good, warning or alarm, with limit and trend.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.oil_sample
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();

CREATE FUNCTION servitize.keep_oil_sample(
    equipment int, of_component text, taken timestamptz, lab text, named text, measured jsonb, judged jsonb, who text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM servitize.require_operate(equipment, 'equipment');
    INSERT INTO servitize.oil_sample (equipment_id, component, sampled_at, laboratory, reference, figures, verdict, actor)
    VALUES (equipment, of_component, taken, lab, named, measured, judged, who)
    ON CONFLICT DO NOTHING RETURNING id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'this sample is there already' USING ERRCODE = 'SV409', HINT = 'give another reference to a second sample of one moment';
    END IF;
    RETURN made;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['part', 'stock_movement', 'reservation', 'crew', 'maintenance_window', 'oil_sample']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer, servitize_api, servitize_board', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['part', 'stock_movement', 'reservation', 'crew', 'maintenance_window']
    LOOP
        EXECUTE format('CREATE POLICY mine ON servitize.%I TO servitize_api, servitize_board USING (tenant_id = (SELECT servitize.current_tenant()))'
                       ' WITH CHECK (tenant_id = (SELECT servitize.current_tenant()))', name);
    END LOOP;
END $$;
CREATE POLICY mine ON servitize.oil_sample FOR SELECT TO servitize_api, servitize_board
    USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m));
-- crews and windows hang on nothing but the tenant: plain rows
GRANT INSERT (tenant_id, key, name, people, skills), UPDATE (name, people, skills), DELETE ON servitize.crew TO servitize_api;
GRANT INSERT (tenant_id, equipment_id, starts_at, ends_at, stands, note), DELETE ON servitize.maintenance_window TO servitize_api;
GRANT EXECUTE ON FUNCTION servitize.hold_advisory, servitize.hold_work, servitize.keep_part, servitize.move_stock, servitize.reserve_part,
    servitize.keep_oil_sample TO servitize_api;
