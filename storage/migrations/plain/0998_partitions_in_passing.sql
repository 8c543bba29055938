-- Attaching a partition shuts readers out of the default partitions, of minutes and of hours one after the other, which a reader takes the other
-- way round: both would wait until one of them is thrown out. Whoever makes rollups gives up first, well before anybody looks for deadlocks,
-- and comes back (the caretaker does on 55P03).
ALTER FUNCTION servitize.ensure_rollup_partition(text, text, timestamptz) SET lock_timeout = '300ms';
