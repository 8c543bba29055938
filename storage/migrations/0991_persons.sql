-- Who stands behind an API key: a user, or a person by name. Approving a command takes another person, and two keys of one person are one
-- person; so are, where nobody is known, a key and those that were made with it.

ALTER TABLE servitize.api_key
    ADD COLUMN user_id bigint REFERENCES servitize.app_user,
    ADD COLUMN person  text CHECK (person <> '' AND length(person) <= 200),
    ADD COLUMN made_by text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT api_key_of_one CHECK (user_id IS NULL OR person IS NULL);
COMMENT ON COLUMN servitize.api_key.person IS 'Whose key it is, where that is no user here; said when it is made and never changed.';
COMMENT ON COLUMN servitize.api_key.made_by IS 'Who made it through the API, as servitize.identities gives it; empty: by the command line.';
GRANT SELECT (user_id, person), INSERT (user_id, person, made_by) ON servitize.api_key TO servitize_api;

-- A key is of a user of its own tenant; foreign keys look past row security.
CREATE FUNCTION servitize.key_fits() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM servitize.app_user u WHERE u.id = NEW.user_id AND u.tenant_id = NEW.tenant_id) THEN
        RAISE EXCEPTION 'there is no such user' USING ERRCODE = 'SV404';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fits BEFORE INSERT ON servitize.api_key FOR EACH ROW EXECUTE FUNCTION servitize.key_fits();

-- What an actor of a journal is known by. Two that share any of it are taken to be one person: it is better to ask for a third than to take
-- one for two. A user's name and address count like a key's person, within the tenant. `known`: there is a person behind it. `made_by`: who
-- made the key.
CREATE FUNCTION servitize.identities(actor text, OUT ids text[], OUT known boolean, OUT made_by text[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    k    servitize.api_key;
    who  bigint := substring(actor FROM '^user:(\d{1,18}):')::bigint;
BEGIN
    SELECT * INTO k FROM servitize.api_key x WHERE x.prefix = substring(actor FROM '^api-key:(.*)$');
    who := coalesce(who, k.user_id);
    made_by := coalesce(k.made_by, '{}');
    SELECT array_remove(ARRAY['user:' || u.id, format('person:%s:', u.tenant_id) || lower(btrim(nullif(u.name, ''))),
                              format('person:%s:', u.tenant_id) || lower(btrim(nullif(u.email, '')))], NULL)
      INTO ids FROM servitize.app_user u WHERE u.id = who;
    IF k.person IS NOT NULL THEN
        ids := ARRAY[format('person:%s:%s', k.tenant_id, lower(btrim(k.person)))];
    END IF;
    known := ids IS NOT NULL;
    IF NOT known THEN
        ids := ARRAY[actor] || made_by;
    END IF;
END $$;

-- Of an actor of the tenant asking, for what it makes; nothing of others.
CREATE FUNCTION servitize.own_identities(actor text) RETURNS text[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT i.ids FROM servitize.identities(actor) i
                      WHERE EXISTS (SELECT FROM servitize.api_key k WHERE actor = 'api-key:' || k.prefix AND k.tenant_id = servitize.current_tenant())
                         OR EXISTS (SELECT FROM servitize.app_user u
                                     WHERE u.id = substring(actor FROM '^user:(\d{1,18}):')::bigint AND u.tenant_id = servitize.current_tenant())), '{}')
$$;
GRANT EXECUTE ON FUNCTION servitize.own_identities TO servitize_api;

-- Classes for which nobody unknown asks or agrees.
CREATE FUNCTION servitize.require_person(actor text, of_class text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF of_class IN ('start_stop', 'safety') AND NOT (servitize.identities(actor)).known THEN
        RAISE EXCEPTION 'nobody knows whose key this is' USING ERRCODE = 'SV403',
            HINT = format('a command of class %s takes people: sign in, or use a key that was made for a person', of_class);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION servitize.request_command(
    equipment int, of_key text, called text, of_class text, given jsonb, conditions jsonb, wanted int, valid interval, against text, why text,
    who text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint;
    hold text;
BEGIN
    PERFORM servitize.require_operate(equipment);
    PERFORM servitize.require_person(who, of_class);
    IF NOT EXISTS (SELECT FROM servitize.equipment e WHERE e.id = equipment AND e.status = 'approved') THEN
        RAISE EXCEPTION 'the equipment is not in service' USING ERRCODE = 'SV409';
    END IF;
    INSERT INTO servitize.command (equipment_id, key, title, class, parameters, interlocks, needed, requested_by, reason, expires_at)
    VALUES (equipment, of_key, called, of_class, given, conditions, wanted, who, coalesce(why, ''), clock_timestamp() + valid)
    RETURNING id INTO made;
    INSERT INTO servitize.command_step (command_id, equipment_id, event, actor, to_state, note, detail)
    VALUES (made, equipment, 'request', who, 'requested', coalesce(why, ''), given);
    hold := coalesce(servitize.held_back(equipment, of_class), against);
    IF hold IS NOT NULL THEN
        PERFORM servitize.apply_command_event(made, 'block', 'interlock', hold);
    ELSIF wanted = 0 THEN
        PERFORM servitize.apply_command_event(made, 'approve', 'policy', 'its class asks for nobody''s approval');
    END IF;
    RETURN made;
END $$;

CREATE OR REPLACE FUNCTION servitize.approve_command(command bigint, why text, who text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c       servitize.command;
    asking  record;
    earlier record;
BEGIN
    SELECT * INTO c FROM servitize.command x WHERE x.id = command AND servitize.may(x.equipment_id, 'read') FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such command' USING ERRCODE = 'SV404';
    END IF;
    PERFORM servitize.require_operate(c.equipment_id);
    IF c.state <> 'requested' THEN
        RAISE EXCEPTION 'a command that is % wants no approval', c.state USING ERRCODE = 'SV409';
    END IF;
    IF c.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'it has expired' USING ERRCODE = 'SV409', HINT = 'request it anew';
    END IF;
    PERFORM servitize.require_person(who, c.class);
    SELECT * INTO asking FROM servitize.identities(who);
    FOR earlier IN
        SELECT p.* FROM (SELECT c.requested_by AS actor
                          UNION SELECT s.actor FROM servitize.command_step s WHERE s.command_id = c.id AND s.event = 'consent') a,
               LATERAL servitize.identities(a.actor) p
    LOOP
        IF asking.ids && earlier.ids THEN
            RAISE EXCEPTION 'another person has to approve it' USING ERRCODE = 'SV403',
                HINT = 'keys of one person, and keys that nobody owns and those made with them, count once';
        END IF;
        IF asking.made_by && earlier.ids OR earlier.made_by && asking.ids THEN
            RAISE EXCEPTION 'another person has to approve it, with a key that neither of the two made for the other' USING ERRCODE = 'SV403',
                HINT = 'let a third person or the command line make the key';
        END IF;
    END LOOP;
    UPDATE servitize.command x SET approvals = x.approvals + 1 WHERE x.id = c.id;
    INSERT INTO servitize.command_step (command_id, equipment_id, event, actor, from_state, to_state, note)
    VALUES (c.id, c.equipment_id, 'consent', who, c.state, c.state, coalesce(why, ''));
    IF c.approvals + 1 >= c.needed THEN
        RETURN servitize.apply_command_event(c.id, 'approve', who, coalesce(why, ''));
    END IF;
    RETURN c.state;
END $$;
