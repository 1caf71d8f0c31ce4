import circular_two

VALUE = circular_two.VALUE
