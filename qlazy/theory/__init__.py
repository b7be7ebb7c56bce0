"""What theory says of models: bounds, closed forms, laws."""
