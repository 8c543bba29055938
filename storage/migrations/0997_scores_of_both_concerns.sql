-- Where an instrument's alarm becomes the machine's, the one is cleared and the other raised at the same moment on the same component.
ALTER TABLE servitize.model_score DROP CONSTRAINT model_score_pkey;
ALTER TABLE servitize.model_score ADD PRIMARY KEY (equipment_id, model, at, version, component, concern);
