OWN = "the plugin's own"
