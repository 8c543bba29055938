"""Knowledge about vibration: the zones of ISO 20816 as data, and the limits that follow from them."""
