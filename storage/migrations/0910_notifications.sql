-- Who hears of it: endpoints, subscriptions, schedules of who is on call, and one delivery intent per subscription and numbered event. All timers are
-- rows; time is a parameter ("at"), so that whoever runs this may be restarted, or be a test.

CREATE TABLE servitize.delivery_rule (
    state      text NOT NULL,
    event      text NOT NULL,
    next_state text NOT NULL,
    PRIMARY KEY (state, event)
);
COMMENT ON TABLE servitize.delivery_rule IS 'core.delivery.TRANSITIONS; a test holds the two equal.';
INSERT INTO servitize.delivery_rule (state, event, next_state) VALUES
    ('pending', 'take', 'sending'),
    ('pending', 'cancel', 'cancelled'),
    ('sending', 'succeed', 'delivered'),
    ('sending', 'fail', 'pending'),
    ('sending', 'lose', 'pending'),
    ('sending', 'give_up', 'dead'),
    ('dead', 'replay', 'pending'),
    ('delivered', 'replay', 'pending'),
    ('cancelled', 'replay', 'pending');

CREATE TABLE servitize.notification_endpoint (
    id              int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       int NOT NULL DEFAULT servitize.current_tenant() REFERENCES servitize.tenant,
    name            text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('webhook', 'email', 'mqtt')),
    address         text NOT NULL CHECK (address <> '' AND length(address) <= 500),
    secret          bytea,
    former_secret   bytea,
    former_until    timestamptz,
    enabled         boolean NOT NULL DEFAULT true,
    disabled_reason text,
    revision        int NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT now(),
    removed_at      timestamptz,
    CHECK ((former_secret IS NULL) = (former_until IS NULL))
);
COMMENT ON COLUMN servitize.notification_endpoint.secret IS 'Sealed (storage.sealing); the former one signs too until former_until.';

CREATE TABLE servitize.on_call_schedule (
    id          int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   int NOT NULL DEFAULT servitize.current_tenant() REFERENCES servitize.tenant,
    name        text NOT NULL,
    starts_at   timestamptz NOT NULL,
    shift_hours int NOT NULL CHECK (shift_hours BETWEEN 1 AND 8784),
    revision    int NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    removed_at  timestamptz
);
CREATE TABLE servitize.on_call_member (
    schedule_id int NOT NULL REFERENCES servitize.on_call_schedule,
    position    int NOT NULL CHECK (position >= 0),
    endpoint_id int NOT NULL REFERENCES servitize.notification_endpoint,
    PRIMARY KEY (schedule_id, position)
);
CREATE TABLE servitize.on_call_override (
    schedule_id int NOT NULL REFERENCES servitize.on_call_schedule,
    from_at     timestamptz NOT NULL,
    until_at    timestamptz NOT NULL CHECK (until_at > from_at),
    endpoint_id int NOT NULL REFERENCES servitize.notification_endpoint,
    PRIMARY KEY (schedule_id, from_at)
);

CREATE TABLE servitize.subscription (
    id             int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id      int NOT NULL DEFAULT servitize.current_tenant() REFERENCES servitize.tenant,
    name           text NOT NULL,
    endpoint_id    int REFERENCES servitize.notification_endpoint,
    schedule_id    int REFERENCES servitize.on_call_schedule,
    equipment_id   int REFERENCES servitize.equipment,
    kinds          text[] NOT NULL DEFAULT ARRAY['alarm'] CHECK (cardinality(kinds) > 0),
    least_priority text NOT NULL DEFAULT 'low' CHECK (least_priority IN ('urgent', 'high', 'medium', 'low')),
    quiet_from     time,
    quiet_to       time,
    timezone       text NOT NULL DEFAULT 'UTC',
    break_through  text NOT NULL DEFAULT 'urgent' CHECK (break_through IN ('urgent', 'high', 'medium', 'low')),
    digest_minutes int CHECK (digest_minutes BETWEEN 1 AND 10080),
    enabled        boolean NOT NULL DEFAULT true,
    revision       int NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL DEFAULT now(),
    removed_at     timestamptz,
    CHECK (num_nonnulls(endpoint_id, schedule_id) = 1),
    CHECK ((quiet_from IS NULL) = (quiet_to IS NULL) AND quiet_from <> quiet_to)
);
COMMENT ON COLUMN servitize.subscription.break_through IS 'This priority and above waits for neither quiet hours nor digest.';
CREATE INDEX subscription_tenant ON servitize.subscription (tenant_id) WHERE removed_at IS NULL;

-- Nobody has looked for so long at something so urgent: tell who is on call.
CREATE TABLE servitize.escalation_step (
    subscription_id int NOT NULL REFERENCES servitize.subscription,
    stage           int NOT NULL CHECK (stage BETWEEN 1 AND 9),
    priority        text NOT NULL CHECK (priority IN ('urgent', 'high', 'medium', 'low')),
    after_minutes   int NOT NULL CHECK (after_minutes BETWEEN 1 AND 10080),
    endpoint_id     int REFERENCES servitize.notification_endpoint,
    schedule_id     int REFERENCES servitize.on_call_schedule,
    PRIMARY KEY (subscription_id, stage, priority),
    CHECK (num_nonnulls(endpoint_id, schedule_id) = 1)
);

CREATE TABLE servitize.escalation_timer (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       int NOT NULL REFERENCES servitize.tenant,
    subscription_id int NOT NULL REFERENCES servitize.subscription,
    subject         text NOT NULL,
    seq             bigint NOT NULL,
    stage           int NOT NULL,
    due_at          timestamptz NOT NULL,
    done_at         timestamptz,
    outcome         text CHECK (outcome IN ('told', 'closed', 'nobody')),
    payload         jsonb NOT NULL,
    UNIQUE (subscription_id, seq, stage),
    CHECK ((done_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX escalation_timer_due ON servitize.escalation_timer (due_at) WHERE done_at IS NULL;
CREATE INDEX escalation_timer_subject ON servitize.escalation_timer (tenant_id, subject) WHERE done_at IS NULL;

CREATE TABLE servitize.delivery (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       int NOT NULL REFERENCES servitize.tenant,
    subscription_id int NOT NULL REFERENCES servitize.subscription,
    endpoint_id     int NOT NULL REFERENCES servitize.notification_endpoint,
    seq             bigint NOT NULL,
    stage           int NOT NULL DEFAULT 0,
    kind            text NOT NULL,
    subject         text,
    priority        text,
    happened_at     timestamptz NOT NULL,
    payload         jsonb NOT NULL,
    state           text NOT NULL DEFAULT 'pending',
    digest          boolean NOT NULL DEFAULT false,
    batch           bigint,
    attempts        int NOT NULL DEFAULT 0,
    round           int NOT NULL DEFAULT 0,
    due_at          timestamptz NOT NULL,
    lease_until     timestamptz,
    last_status     int,
    last_error      text,
    created_at      timestamptz NOT NULL,
    settled_at      timestamptz,
    UNIQUE (subscription_id, seq, stage),
    CHECK ((state = 'sending') = (lease_until IS NOT NULL))
);
COMMENT ON TABLE servitize.delivery IS 'One intent per subscription, event and stage of escalation: UNIQUE is what keeps it one.';
COMMENT ON COLUMN servitize.delivery.batch IS 'Deliveries of a digest that go together, by the first of them; kept by every further attempt.';
COMMENT ON COLUMN servitize.delivery.round IS 'Counts replays: attempts begin afresh, and the receiver is told another message id.';
CREATE INDEX delivery_due ON servitize.delivery (due_at) WHERE state = 'pending';
CREATE INDEX delivery_leases ON servitize.delivery (lease_until) WHERE state = 'sending';
CREATE INDEX delivery_tenant ON servitize.delivery (tenant_id, id);
CREATE INDEX delivery_subject ON servitize.delivery (tenant_id, subject);

CREATE TABLE servitize.delivery_attempt (
    delivery_id bigint NOT NULL REFERENCES servitize.delivery ON DELETE CASCADE,
    at          timestamptz NOT NULL,
    event       text NOT NULL,
    from_state  text NOT NULL,
    to_state    text NOT NULL,
    attempt     int NOT NULL,
    status      int,
    detail      text,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (delivery_id, id)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['delivery_rule', 'notification_endpoint', 'on_call_schedule', 'on_call_member', 'on_call_override', 'subscription',
                                'escalation_step', 'escalation_timer', 'delivery', 'delivery_attempt']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer, servitize_api', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['notification_endpoint', 'on_call_schedule', 'subscription', 'escalation_timer', 'delivery']
    LOOP
        EXECUTE format('CREATE POLICY mine ON servitize.%I TO servitize_api USING (tenant_id = (SELECT servitize.current_tenant()))'
                       ' WITH CHECK (tenant_id = (SELECT servitize.current_tenant()))', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['on_call_member', 'on_call_override']
    LOOP
        EXECUTE format('CREATE POLICY mine ON servitize.%I TO servitize_api USING (schedule_id IN (SELECT s.id FROM servitize.on_call_schedule s))'
                       ' WITH CHECK (schedule_id IN (SELECT s.id FROM servitize.on_call_schedule s)'
                       ' AND endpoint_id IN (SELECT e.id FROM servitize.notification_endpoint e))', name);
        EXECUTE format('GRANT INSERT, DELETE ON servitize.%I TO servitize_api', name);
    END LOOP;
END $$;
CREATE POLICY everybody ON servitize.delivery_rule FOR SELECT TO servitize_api USING (true);
CREATE POLICY mine ON servitize.escalation_step TO servitize_api USING (subscription_id IN (SELECT s.id FROM servitize.subscription s))
    WITH CHECK (subscription_id IN (SELECT s.id FROM servitize.subscription s)
                AND (endpoint_id IS NULL OR endpoint_id IN (SELECT e.id FROM servitize.notification_endpoint e))
                AND (schedule_id IS NULL OR schedule_id IN (SELECT s.id FROM servitize.on_call_schedule s)));
CREATE POLICY mine ON servitize.delivery_attempt FOR SELECT TO servitize_api USING (delivery_id IN (SELECT d.id FROM servitize.delivery d));
-- foreign keys look past row security, so what a row points at is looked at here
CREATE POLICY points_at_mine ON servitize.subscription AS RESTRICTIVE TO servitize_api USING (true)
    WITH CHECK ((endpoint_id IS NULL OR endpoint_id IN (SELECT e.id FROM servitize.notification_endpoint e))
                AND (schedule_id IS NULL OR schedule_id IN (SELECT s.id FROM servitize.on_call_schedule s))
                AND (equipment_id IS NULL OR equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m)));

GRANT INSERT (name, kind, address, secret, enabled),
    UPDATE (name, address, secret, former_secret, former_until, enabled, disabled_reason, revision, removed_at)
    ON servitize.notification_endpoint TO servitize_api;
GRANT UPDATE (enabled, disabled_reason, revision) ON servitize.notification_endpoint TO servitize_writer;
GRANT INSERT (name, starts_at, shift_hours), UPDATE (name, starts_at, shift_hours, revision, removed_at) ON servitize.on_call_schedule TO servitize_api;
GRANT INSERT (name, endpoint_id, schedule_id, equipment_id, kinds, least_priority, quiet_from, quiet_to, timezone, break_through, digest_minutes, enabled),
    UPDATE (name, endpoint_id, schedule_id, equipment_id, kinds, least_priority, quiet_from, quiet_to, timezone, break_through, digest_minutes, enabled,
            revision, removed_at)
    ON servitize.subscription TO servitize_api;
GRANT INSERT, DELETE ON servitize.escalation_step TO servitize_api;
GRANT DELETE ON servitize.delivery, servitize.escalation_timer TO servitize_writer;

-- The end of the quiet hours that "at" lies in, by the clock of that place; NULL where it lies in none.
CREATE FUNCTION servitize.quiet_until(quiet_from time, quiet_to time, zone text, at timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wall timestamp := at AT TIME ZONE zone;
    ends timestamp;
BEGIN
    IF quiet_from IS NULL THEN
        RETURN NULL;
    END IF;
    IF quiet_from < quiet_to THEN
        IF wall::time < quiet_from OR wall::time >= quiet_to THEN
            RETURN NULL;
        END IF;
        ends := wall::date + quiet_to;
    ELSIF wall::time >= quiet_from THEN
        ends := wall::date + 1 + quiet_to;
    ELSIF wall::time < quiet_to THEN
        ends := wall::date + quiet_to;
    ELSE
        RETURN NULL;
    END IF;
    -- where clocks go forward the end may lie in the hour that is not
    RETURN greatest(ends AT TIME ZONE zone, at);
END $$;

-- A time zone that is none would stop everybody's events, so it is tried when it is written.
CREATE FUNCTION servitize.try_timezone() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM now() AT TIME ZONE NEW.timezone;
    RETURN NEW;
END $$;
CREATE TRIGGER timezone BEFORE INSERT OR UPDATE OF timezone ON servitize.subscription
    FOR EACH ROW EXECUTE FUNCTION servitize.try_timezone();

-- Which endpoint is on call; NULL before the schedule starts, or where nobody is in it.
CREATE FUNCTION servitize.on_call(schedule int, at timestamptz) RETURNS int
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(
        (SELECT o.endpoint_id FROM servitize.on_call_override o
          WHERE o.schedule_id = schedule AND at >= o.from_at AND at < o.until_at ORDER BY o.from_at DESC LIMIT 1),
        (SELECT m.endpoint_id
           FROM (SELECT x.endpoint_id, row_number() OVER (ORDER BY x.position) - 1 AS place, count(*) OVER () AS members
                   FROM servitize.on_call_member x WHERE x.schedule_id = schedule) m
           JOIN servitize.on_call_schedule s ON s.id = schedule
          WHERE s.removed_at IS NULL AND at >= s.starts_at
            AND m.place = floor(extract(epoch FROM at - s.starts_at) / (3600 * s.shift_hours))::bigint % m.members))
$$;

-- One step of one delivery by its rule, under its lock, written down. Errors: SV404, SV409. Internal.
CREATE FUNCTION servitize.step_delivery(
    wanted bigint, happened text, at timestamptz, next_due timestamptz, lease timestamptz, answered int, said text)
    RETURNS servitize.delivery
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d    servitize.delivery;
    goal text;
BEGIN
    SELECT * INTO d FROM servitize.delivery x WHERE x.id = wanted FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such delivery' USING ERRCODE = 'SV404';
    END IF;
    SELECT r.next_state INTO goal FROM servitize.delivery_rule r WHERE r.state = d.state AND r.event = happened;
    IF goal IS NULL THEN
        RAISE EXCEPTION 'a delivery that is % does not allow %', d.state, happened USING ERRCODE = 'SV409';
    END IF;
    INSERT INTO servitize.delivery_attempt (delivery_id, at, event, from_state, to_state, attempt, status, detail)
    VALUES (d.id, at, happened, d.state, goal, d.attempts + (happened = 'take')::int, answered, left(said, 500));
    UPDATE servitize.delivery x
       SET state = goal,
           attempts = CASE happened WHEN 'take' THEN x.attempts + 1 WHEN 'replay' THEN 0 ELSE x.attempts END,
           round = x.round + (happened = 'replay')::int,
           batch = CASE WHEN happened = 'replay' THEN NULL ELSE x.batch END,
           digest = x.digest AND happened <> 'replay',
           due_at = coalesce(next_due, x.due_at),
           lease_until = lease,
           last_status = CASE WHEN happened IN ('succeed', 'fail', 'give_up') THEN answered ELSE x.last_status END,
           last_error = CASE WHEN happened IN ('fail', 'give_up', 'lose') THEN left(said, 500)
                             WHEN happened = 'succeed' THEN NULL ELSE x.last_error END,
           settled_at = CASE WHEN goal IN ('delivered', 'dead', 'cancelled') THEN at END
     WHERE x.id = wanted
    RETURNING * INTO d;
    RETURN d;
END $$;

-- The next numbered events become delivery intents of whoever subscribed, in order; the position moves in the same transaction, so each event is
-- looked at once. Also starts and stops escalations. Returns how many events were looked at.
CREATE FUNCTION servitize.fan_out(at timestamptz, at_most int) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    seen  bigint;
    o     record;
    s     record;
    rank  int;
    held  timestamptz;
    due   timestamptz;
    waits boolean;
    goes  int;
    about text;
    is_open boolean;
    done  int := 0;
BEGIN
    INSERT INTO servitize.stream_position (stream, next_offset)
    SELECT 'notifications', h.seq FROM servitize.outbox_head h ON CONFLICT (stream) DO NOTHING;
    SELECT p.next_offset INTO seen FROM servitize.stream_position p WHERE p.stream = 'notifications' FOR UPDATE;
    FOR o IN
        SELECT x.seq, x.tenant_id, x.equipment_id, x.kind, x.payload, x.created_at FROM servitize.outbox x
         WHERE x.seq > seen ORDER BY x.seq LIMIT at_most
    LOOP
        about := coalesce(o.payload->>'subject', CASE WHEN o.payload ? 'alarm_id' THEN 'alarm/' || (o.payload->>'alarm_id') END);
        is_open := CASE jsonb_typeof(o.payload->'open') WHEN 'boolean' THEN o.payload->'open' = 'true'
                        ELSE coalesce(o.payload->>'state' = 'unacknowledged', false) END;
        rank := servitize.priority_rank(o.payload->>'priority');
        IF about IS NOT NULL AND is_open IS FALSE THEN
            UPDATE servitize.escalation_timer t SET done_at = at, outcome = 'closed'
             WHERE t.subject = about AND t.done_at IS NULL AND t.tenant_id IN (
                 SELECT o.tenant_id UNION SELECT v.tenant_id FROM servitize.visible_equipment v WHERE v.equipment_id = o.equipment_id);
        END IF;
        FOR s IN
            SELECT x.* FROM servitize.subscription x
             WHERE x.removed_at IS NULL AND x.enabled AND o.kind = ANY (x.kinds)
               AND (x.equipment_id IS NULL OR x.equipment_id = o.equipment_id)
               AND (rank IS NULL OR rank <= servitize.priority_rank(x.least_priority))
               AND CASE WHEN o.equipment_id IS NULL THEN x.tenant_id = o.tenant_id
                        ELSE EXISTS (SELECT FROM servitize.visible_equipment v
                                      WHERE v.equipment_id = o.equipment_id AND v.tenant_id = x.tenant_id) END
             ORDER BY x.id
        LOOP
            waits := rank IS NULL OR rank > servitize.priority_rank(s.break_through);
            due := at;
            IF waits AND s.digest_minutes IS NOT NULL THEN
                due := to_timestamp(ceil(extract(epoch FROM at) / (60 * s.digest_minutes)) * 60 * s.digest_minutes);
            END IF;
            IF waits THEN
                held := servitize.quiet_until(s.quiet_from, s.quiet_to, s.timezone, due);
                due := coalesce(held, due);
            END IF;
            goes := coalesce(s.endpoint_id, servitize.on_call(s.schedule_id, due));
            IF EXISTS (SELECT FROM servitize.notification_endpoint e WHERE e.id = goes AND e.removed_at IS NULL) THEN
                INSERT INTO servitize.delivery
                    (tenant_id, subscription_id, endpoint_id, seq, kind, subject, priority, happened_at, payload, digest, due_at, created_at)
                VALUES (s.tenant_id, s.id, goes, o.seq, o.kind, about, o.payload->>'priority', o.created_at, o.payload,
                        waits AND s.digest_minutes IS NOT NULL, due, at)
                ON CONFLICT (subscription_id, seq, stage) DO NOTHING;
            END IF;
            IF about IS NOT NULL AND is_open THEN
                INSERT INTO servitize.escalation_timer (tenant_id, subscription_id, subject, seq, stage, due_at, payload)
                SELECT s.tenant_id, s.id, about, o.seq, x.stage, at + x.after_minutes * interval '1 minute',
                       o.payload || jsonb_build_object('kind', o.kind)
                  FROM servitize.escalation_step x WHERE x.subscription_id = s.id AND x.priority = o.payload->>'priority'
                ON CONFLICT (subscription_id, seq, stage) DO NOTHING;
            END IF;
        END LOOP;
        seen := o.seq;
        done := done + 1;
    END LOOP;
    UPDATE servitize.stream_position p SET next_offset = seen WHERE p.stream = 'notifications' AND p.next_offset < seen;
    RETURN done;
END $$;

-- Escalations that are due become deliveries to who is on call now. An alarm is looked at itself: what was acknowledged meanwhile tells nobody.
CREATE FUNCTION servitize.escalate(at timestamptz, at_most int) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t     record;
    goes  int;
    still boolean;
    told  int := 0;
BEGIN
    FOR t IN
        SELECT x.* FROM servitize.escalation_timer x WHERE x.done_at IS NULL AND x.due_at <= at
         ORDER BY x.due_at, x.id LIMIT at_most FOR UPDATE SKIP LOCKED
    LOOP
        SELECT coalesce(e.endpoint_id, servitize.on_call(e.schedule_id, at)) INTO goes
          FROM servitize.escalation_step e JOIN servitize.subscription s ON s.id = e.subscription_id
         WHERE e.subscription_id = t.subscription_id AND e.stage = t.stage AND e.priority = t.payload->>'priority'
           AND s.removed_at IS NULL AND s.enabled;
        still := NOT EXISTS (SELECT FROM servitize.alarm a WHERE a.state <> 'unacknowledged'
                                AND a.id = CASE WHEN t.subject ~ '^alarm/[0-9]{1,18}$' THEN substr(t.subject, 7)::bigint END);
        IF still AND EXISTS (SELECT FROM servitize.notification_endpoint e WHERE e.id = goes AND e.removed_at IS NULL) THEN
            INSERT INTO servitize.delivery
                (tenant_id, subscription_id, endpoint_id, seq, stage, kind, subject, priority, happened_at, payload, due_at, created_at)
            VALUES (t.tenant_id, t.subscription_id, goes, t.seq, t.stage, t.payload->>'kind', t.subject, t.payload->>'priority', at,
                    t.payload - 'kind' || jsonb_build_object('escalation', t.stage), at, at)
            ON CONFLICT (subscription_id, seq, stage) DO NOTHING;
            UPDATE servitize.escalation_timer x SET done_at = at, outcome = 'told' WHERE x.id = t.id;
            told := told + 1;
        ELSE
            UPDATE servitize.escalation_timer x SET done_at = at, outcome = CASE WHEN still THEN 'nobody' ELSE 'closed' END WHERE x.id = t.id;
        END IF;
    END LOOP;
    RETURN told;
END $$;

-- What is to be sent now, leased to who asks until "lease"; who does not come back in time has lost it, and it is sent again. Of one endpoint not more
-- than one message at a time, so that a slow one holds up nobody else and nothing overtakes.
CREATE FUNCTION servitize.take_deliveries(at timestamptz, lease timestamptz, at_most int)
    RETURNS TABLE (batch bigint, delivery_ids bigint[], round int, attempt int, endpoint_id int, tenant text, kind text, address text, secret bytea,
                   former_secret bytea, events jsonb)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lead record;
    one  bigint;
BEGIN
    -- one taker at a time decides; sending goes on beside
    PERFORM pg_advisory_xact_lock(hashtext('servitize.take_deliveries'));
    FOR one IN SELECT d.id FROM servitize.delivery d WHERE d.state = 'sending' AND d.lease_until <= at ORDER BY d.id FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM servitize.step_delivery(one, 'lose', at, at, NULL, NULL, 'whoever sent it did not come back');
    END LOOP;
    FOR one IN SELECT d.id FROM servitize.delivery d
                 JOIN servitize.notification_endpoint e ON e.id = d.endpoint_id
                 JOIN servitize.subscription s ON s.id = d.subscription_id
                WHERE d.state = 'pending' AND (e.removed_at IS NOT NULL OR s.removed_at IS NOT NULL) AND d.due_at <= at ORDER BY d.id
    LOOP
        PERFORM servitize.step_delivery(one, 'cancel', at, NULL, NULL, NULL, 'endpoint or subscription was removed');
    END LOOP;
    FOR lead IN
        SELECT DISTINCT ON (d.endpoint_id) d.id, d.batch, d.digest, d.subscription_id, d.endpoint_id, d.round
          FROM servitize.delivery d JOIN servitize.notification_endpoint e ON e.id = d.endpoint_id
         WHERE d.state = 'pending' AND d.due_at <= at AND e.enabled
           AND NOT EXISTS (SELECT FROM servitize.delivery y WHERE y.endpoint_id = d.endpoint_id AND y.state = 'sending')
         ORDER BY d.endpoint_id, d.due_at, d.id
         LIMIT at_most
    LOOP
        IF lead.digest AND lead.batch IS NULL THEN
            UPDATE servitize.delivery d SET batch = lead.id
             WHERE d.subscription_id = lead.subscription_id AND d.endpoint_id = lead.endpoint_id AND d.digest AND d.batch IS NULL
               AND d.state = 'pending' AND d.due_at <= at
               AND d.id IN (SELECT z.id FROM servitize.delivery z
                             WHERE z.subscription_id = lead.subscription_id AND z.endpoint_id = lead.endpoint_id AND z.digest AND z.batch IS NULL
                               AND z.state = 'pending' AND z.due_at <= at ORDER BY z.id LIMIT 200);
        END IF;
        delivery_ids := ARRAY(SELECT d.id FROM servitize.delivery d
                               WHERE d.state = 'pending' AND (d.id = lead.id OR (lead.digest AND d.batch = coalesce(lead.batch, lead.id)))
                               ORDER BY d.id);
        FOREACH one IN ARRAY delivery_ids
        LOOP
            PERFORM servitize.step_delivery(one, 'take', at, NULL, lease, NULL, NULL);
        END LOOP;
        batch := coalesce(lead.batch, lead.id);
        round := lead.round;
        endpoint_id := lead.endpoint_id;
        SELECT max(d.attempts), jsonb_agg(jsonb_build_object(
                   'seq', d.seq, 'kind', d.kind, 'at', servitize.to_us(d.happened_at), 'stage', d.stage, 'subject', d.subject, 'payload', d.payload)
                   ORDER BY d.seq, d.stage)
          INTO attempt, events FROM servitize.delivery d WHERE d.id = ANY (delivery_ids);
        SELECT t.slug, e.kind, e.address, e.secret, CASE WHEN e.former_until > at THEN e.former_secret END
          INTO tenant, kind, address, secret, former_secret
          FROM servitize.notification_endpoint e JOIN servitize.tenant t ON t.id = e.tenant_id WHERE e.id = lead.endpoint_id;
        RETURN NEXT;
    END LOOP;
END $$;

-- What became of it: "happened" is succeed, fail (again at next_due) or give_up. A lease that was lost meanwhile counts nothing (false).
CREATE FUNCTION servitize.finish_deliveries(ids bigint[], happened text, at timestamptz, lease timestamptz, next_due timestamptz, answered int, said text)
    RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one bigint;
    did boolean := false;
BEGIN
    FOR one IN SELECT d.id FROM servitize.delivery d WHERE d.id = ANY (ids) AND d.state = 'sending' AND d.lease_until = lease ORDER BY d.id FOR UPDATE
    LOOP
        PERFORM servitize.step_delivery(one, happened, at, next_due, NULL, answered, said);
        did := true;
    END LOOP;
    RETURN did;
END $$;

-- An endpoint that said it wants no more.
CREATE FUNCTION servitize.disable_endpoint(wanted int, why text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE servitize.notification_endpoint e SET enabled = false, disabled_reason = why, revision = e.revision + 1 WHERE e.id = wanted AND e.enabled
$$;

-- The tenant's doors: send again, or for one of its own endpoints something to see whether it works.
CREATE FUNCTION servitize.replay_delivery(wanted bigint, at timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM servitize.delivery d WHERE d.id = wanted AND d.tenant_id = servitize.current_tenant()) THEN
        RAISE EXCEPTION 'there is no such delivery, or it is not yours to see' USING ERRCODE = 'SV404';
    END IF;
    PERFORM servitize.step_delivery(wanted, 'replay', at, at, NULL, NULL, NULL);
    PERFORM pg_notify('servitize_outbox', '');
END $$;

CREATE FUNCTION servitize.prune_deliveries(before timestamptz) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH gone AS (DELETE FROM servitize.delivery d WHERE d.settled_at < before RETURNING 1),
         timers AS (DELETE FROM servitize.escalation_timer t WHERE t.done_at < before RETURNING 1),
         requests AS (DELETE FROM servitize.request_memory r WHERE r.created_at < now() - interval '24 hours' RETURNING 1)
    SELECT count(*) FROM gone
$$;

GRANT EXECUTE ON FUNCTION servitize.fan_out, servitize.escalate, servitize.take_deliveries, servitize.finish_deliveries, servitize.disable_endpoint,
    servitize.prune_deliveries TO servitize_writer;
GRANT EXECUTE ON FUNCTION servitize.replay_delivery, servitize.on_call, servitize.quiet_until TO servitize_api;
