-- Contracts of use, what people put on record for them, and closed statements. Provider and customer see the same rows; only the provider
-- writes. A closed statement never changes: what comes later is a correction that stands beside it.

CREATE TABLE servitize.contract (
    id          int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   int NOT NULL REFERENCES servitize.tenant,
    customer_id int REFERENCES servitize.tenant,
    key         text NOT NULL CHECK (key ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    title       text NOT NULL,
    currency    text NOT NULL,
    timezone    text NOT NULL,
    months      int NOT NULL DEFAULT 1,
    begins      date NOT NULL,
    ends        date,
    revision    int NOT NULL DEFAULT 1,
    document    jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, key),
    CHECK (customer_id <> tenant_id)
);
COMMENT ON COLUMN servitize.contract.customer_id IS 'Who pays, where that is an organisation here; NULL: somebody who is not.';
COMMENT ON COLUMN servitize.contract.document IS 'The terms in force with all their effective-dated versions; earlier revisions in contract_revision.';

CREATE TABLE servitize.contract_revision (
    contract_id int NOT NULL REFERENCES servitize.contract,
    revision    int NOT NULL,
    document    jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    recorded_by text NOT NULL,
    PRIMARY KEY (contract_id, revision)
);

CREATE TABLE servitize.contract_machine (
    contract_id  int NOT NULL REFERENCES servitize.contract,
    key          text NOT NULL,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    PRIMARY KEY (contract_id, key)
);
CREATE INDEX contract_machine_equipment ON servitize.contract_machine (equipment_id);

CREATE TABLE servitize.contract_record (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contract_id  int NOT NULL REFERENCES servitize.contract,
    equipment_id int REFERENCES servitize.equipment,
    kind         text NOT NULL CHECK (kind IN ('exclusion', 'incident')),
    starts_at    timestamptz NOT NULL,
    ends_at      timestamptz,
    responded_at timestamptz,
    cause        text NOT NULL DEFAULT '',
    reference    text NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by  text NOT NULL,
    withdrawn_at timestamptz,
    withdrawn_by text,
    CHECK (ends_at > starts_at),
    CHECK (responded_at >= starts_at),
    CHECK (kind <> 'exclusion' OR (ends_at IS NOT NULL AND cause <> '' AND responded_at IS NULL)),
    CHECK (kind <> 'incident' OR equipment_id IS NOT NULL)
);
COMMENT ON TABLE servitize.contract_record IS
    'Stops that a contract excludes, and incidents its service levels answer. Withdrawn, never deleted. equipment_id NULL: all of the contract.';
CREATE INDEX contract_record_contract ON servitize.contract_record (contract_id, starts_at);

CREATE TABLE servitize.statement (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contract_id int NOT NULL REFERENCES servitize.contract,
    period      text NOT NULL,
    number      int NOT NULL CHECK (number >= 0),
    period_from timestamptz NOT NULL,
    period_to   timestamptz NOT NULL CHECK (period_to > period_from),
    revision    int NOT NULL,
    currency    text NOT NULL,
    total       numeric(20, 4) NOT NULL,
    document    jsonb NOT NULL,
    sha256      text NOT NULL,
    known_until timestamptz NOT NULL,
    reason      text NOT NULL DEFAULT '',
    closed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_by   text NOT NULL,
    UNIQUE (contract_id, period, number),
    FOREIGN KEY (contract_id, revision) REFERENCES servitize.contract_revision
);
COMMENT ON COLUMN servitize.statement.number IS '0: the statement of the period; 1 and on: its corrections, in order.';
COMMENT ON COLUMN servitize.statement.known_until IS 'Clocks that were still running were read then: a recomputation reads them then too.';

CREATE TABLE servitize.statement_line (
    statement_id bigint NOT NULL REFERENCES servitize.statement,
    position     int NOT NULL,
    equipment_id int REFERENCES servitize.equipment,
    equipment    text NOT NULL,
    term         text NOT NULL,
    part         text NOT NULL,
    version      text NOT NULL,
    title        text NOT NULL,
    quantity     numeric NOT NULL,
    unit         text NOT NULL,
    price        numeric,
    amount       numeric(20, 4) NOT NULL,
    rule         text NOT NULL,
    PRIMARY KEY (statement_id, position)
);

CREATE TABLE servitize.emission_factor (
    id          int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   int NOT NULL REFERENCES servitize.tenant,
    carrier     text NOT NULL CHECK (carrier ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    effective   date NOT NULL,
    kg_per_unit numeric NOT NULL CHECK (kg_per_unit >= 0),
    unit        text NOT NULL,
    source      text NOT NULL CHECK (source <> ''),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    recorded_by text NOT NULL,
    UNIQUE (tenant_id, carrier, effective)
);
COMMENT ON TABLE servitize.emission_factor IS 'kg CO2e per unit of an energy carrier from a day on. A better figure gets a later day or another carrier; none is changed.';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['contract_revision', 'statement', 'statement_line', 'emission_factor']
    LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.%I'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['contract', 'contract_revision', 'contract_machine', 'contract_record', 'statement', 'statement_line',
                                'emission_factor']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_api, servitize_board', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['contract_revision', 'contract_machine', 'contract_record', 'statement']
    LOOP
        EXECUTE format('CREATE POLICY mine ON servitize.%I FOR SELECT TO servitize_api, servitize_board'
                       ' USING (contract_id IN (SELECT c.id FROM servitize.contract c))', name);
    END LOOP;
END $$;
CREATE POLICY mine ON servitize.contract FOR SELECT TO servitize_api, servitize_board
    USING ((SELECT servitize.current_tenant()) IN (tenant_id, customer_id));
CREATE POLICY mine ON servitize.statement_line FOR SELECT TO servitize_api, servitize_board
    USING (statement_id IN (SELECT s.id FROM servitize.statement s));
CREATE POLICY mine ON servitize.emission_factor FOR SELECT TO servitize_api, servitize_board
    USING (tenant_id = (SELECT servitize.current_tenant()));

-- The contract, where the tenant asking is its provider.
CREATE FUNCTION servitize.own_contract(contract int) RETURNS servitize.contract
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c servitize.contract;
BEGIN
    SELECT * INTO c FROM servitize.contract x
     WHERE x.id = contract AND servitize.current_tenant() IN (x.tenant_id, x.customer_id) FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such contract' USING ERRCODE = 'SV404';
    END IF;
    IF c.tenant_id <> servitize.current_tenant() THEN
        RAISE EXCEPTION 'the contract is kept by its provider' USING ERRCODE = 'SV403';
    END IF;
    RETURN c;
END $$;

-- Makes a contract (contract NULL), or gives it other terms: a new revision. Machines are the provider's own or granted to it, by key.
-- What is closed stays: a statement names the revision it was computed from.
CREATE FUNCTION servitize.put_contract(contract int, given jsonb, machines text[], customer text, expected int, who text)
    RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c       servitize.contract;
    asking  int := servitize.current_tenant();
    paying  int;
    missing text;
    first_day date := (given->'versions'->0->>'effective')::date;
BEGIN
    IF asking IS NULL THEN
        RAISE EXCEPTION 'nobody is asking' USING ERRCODE = 'SV403';
    END IF;
    IF customer IS NOT NULL THEN
        SELECT t.id INTO paying FROM servitize.tenant t WHERE t.slug = customer AND t.id <> asking;
        IF paying IS NULL THEN
            RAISE EXCEPTION 'there is no other organisation %', quote_literal(customer) USING ERRCODE = 'SV400';
        END IF;
    END IF;
    SELECT m INTO missing FROM unnest(machines) m
     WHERE NOT EXISTS (SELECT FROM servitize.equipment e WHERE e.key = m AND servitize.may(e.id, 'manage')) LIMIT 1;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'there is no equipment % of yours to contract for', quote_literal(missing) USING ERRCODE = 'SV400';
    END IF;
    IF contract IS NULL THEN
        INSERT INTO servitize.contract (tenant_id, customer_id, key, title, currency, timezone, months, begins, ends, document)
        VALUES (asking, paying, given->>'key', given->>'title', given->>'currency', given->>'timezone',
                coalesce((given->>'months')::int, 1), first_day, (given->>'ends')::date, given)
        ON CONFLICT (tenant_id, key) DO NOTHING RETURNING * INTO c;
        IF c.id IS NULL THEN
            RAISE EXCEPTION 'there is a contract % already', quote_literal(given->>'key') USING ERRCODE = 'SV409';
        END IF;
    ELSE
        c := servitize.own_contract(contract);
        IF c.revision <> expected THEN
            RAISE EXCEPTION 'somebody changed the contract meanwhile' USING ERRCODE = 'SV409', HINT = 'read it again';
        END IF;
        IF given->>'key' <> c.key OR given->>'currency' <> c.currency OR given->>'timezone' <> c.timezone
           OR coalesce((given->>'months')::int, 1) <> c.months THEN
            RAISE EXCEPTION 'key, currency, time zone and length of periods of a contract stay' USING ERRCODE = 'SV409',
                HINT = 'end it and make another';
        END IF;
        UPDATE servitize.contract x
           SET title = given->>'title', begins = first_day, ends = (given->>'ends')::date, revision = x.revision + 1, document = given,
               recorded_at = now()
         WHERE x.id = c.id RETURNING * INTO c;
    END IF;
    INSERT INTO servitize.contract_revision (contract_id, revision, document, recorded_by) VALUES (c.id, c.revision, given, who);
    INSERT INTO servitize.contract_machine (contract_id, key, equipment_id)
    SELECT DISTINCT ON (m) c.id, m, e.id FROM unnest(machines) m JOIN servitize.equipment e ON e.key = m
     WHERE servitize.may(e.id, 'manage') ORDER BY m, e.tenant_id = asking DESC, e.id
    ON CONFLICT DO NOTHING;
    PERFORM servitize.hold_for_contract(c.id);
    RETURN c.id;
END $$;

-- Retention must not overtake an open period: readings from its first moment on (and the longest look back, 100 days) are kept.
CREATE FUNCTION servitize.hold_for_contract(contract int) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c     servitize.contract;
    since timestamptz;
    mark  text;
    owner int;
BEGIN
    SELECT * INTO c FROM servitize.contract x WHERE x.id = contract;
    since := coalesce((SELECT max(s.period_to) FROM servitize.statement s WHERE s.contract_id = c.id),
                      c.begins::timestamp AT TIME ZONE c.timezone) - interval '100 days';
    mark := format('contract %s: open period', c.id);
    UPDATE servitize.retention_hold h SET released_at = now() WHERE h.reason = mark AND h.released_at IS NULL;
    FOR owner IN SELECT DISTINCT e.tenant_id FROM servitize.contract_machine m JOIN servitize.equipment e ON e.id = m.equipment_id
                  WHERE m.contract_id = c.id
    LOOP
        INSERT INTO servitize.retention_hold (tenant_id, since, reason) VALUES (owner, since, mark);
    END LOOP;
END $$;

CREATE FUNCTION servitize.put_contract_record(
    contract int, machine text, of_kind text, low timestamptz, high timestamptz, responded timestamptz, why text, named text, who text)
    RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c     servitize.contract := servitize.own_contract(contract);
    about int;
    made  bigint;
BEGIN
    IF machine IS NOT NULL THEN
        SELECT m.equipment_id INTO about FROM servitize.contract_machine m WHERE m.contract_id = c.id AND m.key = machine;
        IF about IS NULL THEN
            RAISE EXCEPTION 'the contract has no machine %', quote_literal(machine) USING ERRCODE = 'SV400';
        END IF;
    END IF;
    INSERT INTO servitize.contract_record (contract_id, equipment_id, kind, starts_at, ends_at, responded_at, cause, reference, recorded_by)
    VALUES (c.id, about, of_kind, low, high, responded, coalesce(why, ''), named, who) RETURNING id INTO made;
    RETURN made;
END $$;

-- An incident that was answered or is over: the moments, once each. Or withdraws a record.
CREATE FUNCTION servitize.change_contract_record(
    entry bigint, high timestamptz, responded timestamptz, withdraw boolean, who text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r servitize.contract_record;
BEGIN
    SELECT x.* INTO r FROM servitize.contract_record x JOIN servitize.contract c ON c.id = x.contract_id
     WHERE x.id = entry AND servitize.current_tenant() IN (c.tenant_id, c.customer_id) FOR UPDATE OF x;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such record' USING ERRCODE = 'SV404';
    END IF;
    PERFORM servitize.own_contract(r.contract_id);
    IF r.withdrawn_at IS NOT NULL THEN
        RAISE EXCEPTION 'the record was withdrawn' USING ERRCODE = 'SV409';
    END IF;
    IF (high IS NOT NULL AND r.ends_at IS NOT NULL) OR (responded IS NOT NULL AND r.responded_at IS NOT NULL) THEN
        RAISE EXCEPTION 'that moment is on record already' USING ERRCODE = 'SV409', HINT = 'withdraw the record and make another';
    END IF;
    UPDATE servitize.contract_record x
       SET ends_at = coalesce(x.ends_at, high), responded_at = coalesce(x.responded_at, responded),
           withdrawn_at = CASE WHEN withdraw THEN clock_timestamp() END, withdrawn_by = CASE WHEN withdraw THEN who END
     WHERE x.id = r.id;
END $$;

-- Closes a period, or corrects it: `number` is the next one, so two who close at once cannot both. Lines as the document has them.
CREATE FUNCTION servitize.close_statement(
    contract int, of_period text, next_number int, low timestamptz, high timestamptz, at_revision int, given jsonb, digest text,
    due numeric, known timestamptz, why text, who text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c    servitize.contract := servitize.own_contract(contract);
    made bigint;
BEGIN
    IF high > clock_timestamp() THEN
        RAISE EXCEPTION 'the period is not over' USING ERRCODE = 'SV409';
    END IF;
    IF c.revision <> at_revision OR next_number <> (
        SELECT count(*) FROM servitize.statement s WHERE s.contract_id = c.id AND s.period = of_period) THEN
        RAISE EXCEPTION 'somebody changed or closed it meanwhile' USING ERRCODE = 'SV409', HINT = 'compute it again';
    END IF;
    INSERT INTO servitize.statement
        (contract_id, period, number, period_from, period_to, revision, currency, total, document, sha256, known_until, reason, closed_by)
    VALUES (c.id, of_period, next_number, low, high, at_revision, c.currency, due, given, digest, known, coalesce(why, ''), who)
    RETURNING id INTO made;
    INSERT INTO servitize.statement_line
        (statement_id, position, equipment_id, equipment, term, part, version, title, quantity, unit, price, amount, rule)
    SELECT made, l.n, m.equipment_id, l.x->>'equipment', l.x->>'term', l.x->>'part', l.x->>'version', l.x->>'title',
           (l.x->>'quantity')::numeric, l.x->>'unit', (l.x->>'price')::numeric, (l.x->>'amount')::numeric, l.x->>'rule'
      FROM jsonb_array_elements(given->'lines') WITH ORDINALITY AS l (x, n)
      LEFT JOIN servitize.contract_machine m ON m.contract_id = c.id AND m.key = l.x->>'equipment';
    INSERT INTO servitize.outbox (tenant_id, kind, payload)
    SELECT t.id, 'statement',
           jsonb_build_object('subject', format('statement/%s', made), 'open', false, 'event', CASE next_number WHEN 0 THEN 'closed' ELSE 'corrected' END,
                              'title', format('%s, %s: %s %s', c.title, of_period, due, c.currency), 'at', servitize.to_us(clock_timestamp()),
                              'contract', c.key, 'period', of_period, 'number', next_number, 'total', due::text, 'currency', c.currency)
      FROM servitize.tenant t WHERE t.id IN (c.tenant_id, c.customer_id);
    PERFORM servitize.hold_for_contract(c.id);
    RETURN made;
END $$;

CREATE FUNCTION servitize.put_emission_factor(
    of_carrier text, from_day date, kilograms numeric, per text, published text, who text) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made int;
BEGIN
    IF servitize.current_tenant() IS NULL THEN
        RAISE EXCEPTION 'nobody is asking' USING ERRCODE = 'SV403';
    END IF;
    INSERT INTO servitize.emission_factor (tenant_id, carrier, effective, kg_per_unit, unit, source, recorded_by)
    VALUES (servitize.current_tenant(), of_carrier, from_day, kilograms, per, published, who)
    ON CONFLICT (tenant_id, carrier, effective) DO NOTHING RETURNING id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'there is a factor from that day on already' USING ERRCODE = 'SV409';
    END IF;
    RETURN made;
END $$;

GRANT EXECUTE ON FUNCTION servitize.put_contract, servitize.put_contract_record, servitize.change_contract_record,
    servitize.close_statement, servitize.put_emission_factor TO servitize_api;
