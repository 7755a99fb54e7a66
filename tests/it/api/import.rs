//! POST /api/admin/import.
