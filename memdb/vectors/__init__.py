"""Vector indexes: definition and state, filters, KNN requests and results, exact neighbours."""
