import circular_one

VALUE = circular_one.VALUE
