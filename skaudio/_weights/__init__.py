"""Published files of weights as networks of `skaudio.nn`: read, recognised, checked."""
