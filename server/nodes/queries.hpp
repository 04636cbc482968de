#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::nodes {

inline constexpr db::Query kListNodes{"nodes_list", "SELECT id, host, version, api, devices, joined_at, seen_at, beat, promised, came FROM nodes ORDER BY joined_at, id"};
inline constexpr db::Query kAddNode{"nodes_add",
                                    "INSERT INTO nodes (id, host, version, api, devices, joined_at, seen_at, beat, promised, came) VALUES (?1, ?2, '', '', '', ?3, 0, 0, 0, 0) "
                                    "ON CONFLICT (id) DO NOTHING"};
inline constexpr db::Query kRemoveNode{"nodes_remove", "DELETE FROM nodes WHERE id = ?1"};
inline constexpr db::Query kBeat{"nodes_beat",
                                 "UPDATE nodes SET host = ?2, version = ?3, api = ?4, devices = ?5, seen_at = ?6, beat = beat + 1, promised = ?7, came = ?8 WHERE id = ?1"};
inline constexpr db::Query kGetKey{"nodes_get_key", "SELECT sealed FROM node_keys WHERE role = ?1"};
inline constexpr db::Query kListKeys{"nodes_list_keys", "SELECT role, sealed FROM node_keys ORDER BY role"};
inline constexpr db::Query kPutKey{"nodes_put_key", "INSERT INTO node_keys (role, sealed) VALUES (?1, ?2) ON CONFLICT (role) DO UPDATE SET sealed = excluded.sealed"};
/// Of a fleet that is restored: its servers are others.
inline constexpr db::Query kForgetNodes{"nodes_forget", "DELETE FROM nodes"};
inline constexpr db::Query kForgetKeys{"nodes_forget_keys", "DELETE FROM node_keys"};

inline constexpr std::array kQueries{kListNodes, kAddNode, kRemoveNode, kBeat, kGetKey, kListKeys, kPutKey, kForgetNodes, kForgetKeys};

}  // namespace fleet::nodes
