"""One user's brain: state, decide, reconcile, guard. Pure: values in, values out."""
